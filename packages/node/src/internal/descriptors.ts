import * as Result from "effect/Result"
import * as fs from "node:fs"

/** What Linux lists of the sockets of this process, by their inodes. */

/** A Unix socket. */
export interface Listed {
  /** The path, or `@name`, that it is bound to. */
  readonly name: string | undefined
  readonly datagrams: boolean
}

/** The Unix socket behind a descriptor, if it is one. */
export const unixOf = (fd: number): Listed | undefined => {
  const inode = inodeOf(fd)
  // Num RefCount Protocol Flags Type St Inode Path
  const line = linesOf("/proc/net/unix").find((line) => inode !== undefined && line.split(/ +/, 7)[6] === inode)
  return line === undefined
    ? undefined
    : { name: /^(?:\S+ +){7}(.+)$/.exec(line)?.[1], datagrams: line.split(/ +/, 5)[4] === "0002" }
}

/** Whether a descriptor is a UDP socket of IPv6. */
export const isUdp6 = (fd: number): boolean => {
  const inode = inodeOf(fd)
  return inode !== undefined && linesOf("/proc/self/net/udp6").some((line) => line.trim().split(/ +/)[9] === inode)
}

export const isSocket = (fd: number): boolean => attempt(() => fs.fstatSync(fd).isSocket()) ?? false

const inodeOf = (fd: number): string | undefined =>
  /^socket:\[(\d+)\]$/.exec(attempt(() => fs.readlinkSync(`/proc/self/fd/${fd}`)) ?? "")?.[1]

const linesOf = (file: string): ReadonlyArray<string> =>
  (attempt(() => fs.readFileSync(file, "utf8")) ?? "").split("\n")

const attempt = <A>(f: () => A): A | undefined => Result.getOrUndefined(Result.try(f))
