/** A file that is written to at its end. */
import { Effect } from "effect"
import { closeSync, fstatSync, openSync, statSync, write } from "node:fs"

interface Waiting {
  readonly line: string
  readonly done: (error: Error | undefined) => void
}

/**
 * Appends in the order of the calls. What is appended while it writes is written at once
 * after that, with one call of the system for all of it.
 */
export class Appender {
  private readonly path: string
  /** Whether it looks before it writes if another file has the path by now. */
  private readonly looks: boolean
  private fd: number
  private waiting: Array<Waiting> = []
  private isWriting = false
  private isClosed = false
  /** What is open no more as soon as it has been written to. */
  private old: Array<number> = []

  constructor(path: string, looks: boolean) {
    this.path = path
    this.looks = looks
    this.fd = openSync(path, "a")
  }

  /** Is done when the system has the line. */
  append(line: string): Effect.Effect<void, Error> {
    return Effect.callback((resume) => {
      const done = (error: Error | undefined) => resume(error === undefined ? Effect.void : Effect.fail(error))
      this.waiting.push({ line, done })
      this.next()
    })
  }

  /** Opens the path again; says why it goes on with what was open, where it has to. */
  reopen(): Error | undefined {
    try {
      const fd = openSync(this.path, "a")
      this.old.push(this.fd)
      this.fd = fd
    } catch (error) {
      return error as Error
    }
    this.release()
    return undefined
  }

  close(): void {
    this.isClosed = true
    this.release()
  }

  private next(): void {
    if (this.isWriting || this.waiting.length === 0) return
    if (this.looks && !this.isThere()) this.reopen()
    const batch = this.waiting
    this.waiting = []
    this.isWriting = true
    this.write(this.fd, bytesOf(batch), (error) => {
      this.isWriting = false
      this.release()
      for (const { done } of batch) done(error)
      this.next()
    })
  }

  /** Writes all of it: the system takes less only where a disk is full, or a signal comes. */
  private write(fd: number, bytes: Buffer, done: (error: Error | undefined) => void): void {
    write(fd, bytes, (error, written) => {
      if (error !== null || written === bytes.length) done(error ?? undefined)
      else this.write(fd, bytes.subarray(written), done)
    })
  }

  /** Whether the path still names the file that is open. */
  private isThere(): boolean {
    const named = statSync(this.path, { throwIfNoEntry: false })
    const open = fstatSync(this.fd)
    return named?.ino === open.ino && named.dev === open.dev
  }

  private release(): void {
    if (this.isWriting) return
    for (const fd of this.old.splice(0)) closeSync(fd)
    if (!this.isClosed || this.fd === closed) return
    closeSync(this.fd)
    this.fd = closed
  }
}

const closed = -1

/** All lines, in one piece. Text that is put together before is one more copy of it, and lines may be large. */
const bytesOf = (batch: ReadonlyArray<Waiting>): Buffer => {
  const bytes = Buffer.allocUnsafe(batch.reduce((sum, { line }) => sum + Buffer.byteLength(line) + 1, 0))
  let end = 0
  for (const { line } of batch) {
    end += bytes.write(line, end)
    end = bytes.writeUInt8(newline, end)
  }
  return bytes
}

const newline = 0x0a
