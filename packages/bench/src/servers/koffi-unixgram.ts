/** The baseline over Unix datagrams, for which Node has nothing: an echo by hand on `koffi`, reading while there is something. */
import koffi from "koffi"

const library = koffi.load(null)
const socket = library.func("int socket(int, int, int)")
const bind = library.func("int bind(int, void *, uint32_t)")
const recvfrom = library.func("intptr_t recvfrom(int, void *, size_t, int, void *, void *)")
const sendto = library.func("intptr_t sendto(int, void *, size_t, int, void *, uint32_t)")

const AF_UNIX = 1
const SOCK_DGRAM = 2
const MSG_DONTWAIT = 0x40

const handle = (line: string): string => line

const name = `@bench-${process.pid}`
const address = Buffer.from(`\x01\0\0${name.slice(1)}`)
const fd: number = socket(AF_UNIX, SOCK_DGRAM, 0)
if (bind(fd, address, address.length) < 0) throw new Error(`cannot bind ${name}`)

const data = Buffer.alloc(65_536)
const from = Buffer.alloc(110)
const fromLength = new Uint32Array(1)

const read = () => {
  for (let i = 0; i < 64; i++) {
    fromLength[0] = from.length
    const length: number = recvfrom(fd, data, data.length, MSG_DONTWAIT, from, fromLength)
    if (length < 0) return
    const reply = Buffer.from(handle(data.toString("utf8", 0, length)))
    if (sendto(fd, reply, reply.length, MSG_DONTWAIT, from, fromLength[0]) < 0) throw new Error("a peer is full")
  }
}

// It is watched for as long as it is referenced, which this listener does.
const watched = koffi.node.poll(fd, { readable: true }, read)
process.on("exit", () => watched.close())
console.log(`listening on unixgram:${name}`)
