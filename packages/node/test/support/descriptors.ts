/** Sockets that Node does not know of, as a manager hands them down. */
import koffi from "koffi"

const libc = koffi.load(null)
const socket = libc.func("int socket(int domain, int type, int protocol)")
const bind = libc.func("int bind(int fd, void *address, uint32_t length)")
const listen = libc.func("int listen(int fd, int backlog)")

/** Another descriptor of the same socket, as whoever hands it down keeps. */
export const duplicate: (fd: number) => number = libc.func("int dup(int fd)")

const AF_UNIX = 1
const AF_INET = 2
const SOCK_CLOEXEC = 0o2000000

const types = { stream: 1, datagrams: 2 }

const bound = (domain: number, type: keyof typeof types, address: Uint8Array): number => {
  const fd: number = socket(domain, types[type] | SOCK_CLOEXEC, 0)
  const failed = fd < 0 || bind(fd, address, address.length) < 0 || (type === "stream" && listen(fd, 128) < 0)
  if (failed) throw new Error(`no socket of ${JSON.stringify({ domain, type })}: error ${koffi.errno()}`)
  return fd
}

/** A socket on a free port of 127.0.0.1. */
export const inet = (type: keyof typeof types): number =>
  bound(AF_INET, type, Uint8Array.from([AF_INET, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]))

/** A socket on a path. */
export const unix = (type: keyof typeof types, path: string): number =>
  bound(AF_UNIX, type, Uint8Array.from([AF_UNIX, 0, ...Buffer.from(path), 0]))
