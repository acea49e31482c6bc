/** A Maildir: a directory with a file for each message, which several programs may write to and read at once, without locks. */
import { Data, Effect, Stream } from "effect"
import * as fs from "node:fs/promises"
import { hostname } from "node:os"
import { dirname, join } from "node:path"

/** The disk would not have it. */
export class MaildirError extends Data.TaggedError("MaildirError")<{ readonly path: string; readonly cause: unknown }> {
  override get message(): string {
    return `Cannot write to the Maildir ${this.path}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

export interface Maildir {
  /** Puts a message there. Once it succeeds the message is on disk, under its name; before, no reader sees any of it. */
  readonly deliver: <E>(header: string, data: Stream.Stream<Uint8Array, E>) => Effect.Effect<void, E | MaildirError>
}

/** Makes the directories of a Maildir where they are missing. */
export const open = (path: string): Effect.Effect<Maildir, MaildirError> => {
  const attempt = <A>(f: () => Promise<A>) =>
    Effect.tryPromise({ try: f, catch: (cause) => new MaildirError({ path, cause }) })

  /** What a directory has is on disk once it is synchronised itself. */
  const synchronised = async (name: string) => {
    const handle = await fs.open(join(path, name), "r")
    await handle.sync().finally(() => handle.close())
  }

  const deliver: Maildir["deliver"] = (header, data) =>
    Effect.suspend(() => {
      const name = unique()
      const [temporary, final] = [join(path, "tmp", name), join(path, "new", name)]
      const written = Effect.acquireUseRelease(
        attempt(() => fs.open(temporary, "wx", 0o600)),
        (file) =>
          attempt(() => file.appendFile(header)).pipe(
            Effect.andThen(Stream.runForEach(data, (bytes) => attempt(() => file.appendFile(bytes)))),
            Effect.andThen(attempt(() => file.sync()))
          ),
        (file) => Effect.promise(() => file.close())
      )
      const named = attempt(async () => {
        await fs.link(temporary, final)
        await synchronised("new")
      })
      // Whoever is interrupted has not said yes, and whoever has named it is not interrupted before it is on disk.
      return Effect.ensuring(
        Effect.andThen(written, Effect.uninterruptible(named)),
        Effect.ignore(attempt(() => fs.unlink(temporary)))
      )
    })

  return Effect.as(
    attempt(async () => {
      for (const name of ["tmp", "new", "cur"]) await directory(join(path, name))
      await fs.access(join(path, "tmp"), fs.constants.W_OK)
      await fs.access(join(path, "new"), fs.constants.W_OK)
    }),
    { deliver }
  )
}

/** Makes a directory, and those above it. (`recursive` of Node tries for ever where the system has no room for one, as in `/proc`.) */
const directory = async (path: string): Promise<void> => {
  const make = () => fs.mkdir(path, { mode: 0o700 })
  await make().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code === "EEXIST") return
    if (error.code !== "ENOENT") throw error
    await directory(dirname(path))
    await make()
  })
}

let count = 0

/** A name that no other delivery has, of this process or of another, on this machine or another. */
const unique = (): string => {
  const micros = Math.floor((performance.timeOrigin + performance.now()) * 1_000)
  const host = hostname().replaceAll("/", "\\057").replaceAll(":", "\\072")
  return `${Math.floor(micros / 1e6)}.M${micros % 1e6}P${process.pid}Q${count++}.${host}`
}
