/** Unix datagrams by hand, for which Node has nothing: the calls of the system through `koffi`, reading while there is something. */
import koffi from "koffi"

const library = koffi.load(null)
const socket = library.func("int socket(int, int, int)")
const bind = library.func("int bind(int, void *, uint32_t)")
const close = library.func("int close(int)")
const recvfrom = library.func("intptr_t recvfrom(int, void *, size_t, int, void *, void *)")
const sendto = library.func("intptr_t sendto(int, void *, size_t, int, void *, uint32_t)")

const AF_UNIX = 1
const SOCK_DGRAM = 2
const MSG_DONTWAIT = 0x40

/** The address of an abstract name such as `@bench`. */
export const address = (name: string): Buffer => Buffer.from(`\x01\0\0${name.slice(1)}`)

export interface Socket {
  /** Whether the peer had room for it. */
  readonly send: (data: Uint8Array, to: Uint8Array, length: number) => boolean
  readonly close: () => void
}

export const open = (
  name: string,
  onDatagram: (data: Buffer, from: Uint8Array, fromLength: number) => void
): Socket => {
  const own = address(name)
  const fd: number = socket(AF_UNIX, SOCK_DGRAM, 0)
  if (bind(fd, own, own.length) < 0) throw new Error(`cannot bind ${name}`)
  const data = Buffer.alloc(65_536)
  const from = Buffer.alloc(110)
  const fromLength = new Uint32Array(1)
  const read = () => {
    for (let i = 0; i < 64; i++) {
      fromLength[0] = from.length
      const length: number = recvfrom(fd, data, data.length, MSG_DONTWAIT, from, fromLength)
      if (length < 0) return
      onDatagram(data.subarray(0, length), from, fromLength[0])
    }
  }
  // It is watched for as long as it is referenced.
  const watched = koffi.node.poll(fd, { readable: true }, read)
  return {
    send: (data, to, length) => sendto(fd, data, data.length, MSG_DONTWAIT, to, length) >= 0,
    close: () => {
      watched.close()
      close(fd)
    }
  }
}
