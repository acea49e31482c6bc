"""A device: logs in, gets its commands, and asks for two averages at once. `python3 device.py PORT` prints what it hears."""
import json, socket, struct, sys

gateway = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30)
incoming = gateway.makefile("rb")


def tell(**message):
    payload = json.dumps({"device": "pump-7", **message}).encode()
    gateway.sendall(struct.pack(">I", len(payload)) + payload)


def hear():
    (length,) = struct.unpack(">I", incoming.read(4))
    message = json.loads(incoming.read(length))
    print(message)
    return message


tell(id=1, op="login", password="open sesame")
token = hear()["token"]
tell(id=2, op="commands", token=token)
while "id" not in hear():
    pass
tell(id=3, op="average", token=token, of=[20.5, 21, 21.5, 22])
tell(id=4, op="average", token=token, of=[])
hear()
hear()
