/** Length fields, of every width, as a `DataView` reads and writes them. */
import { assert, describe, it } from "@effect/vitest"
import { vi } from "vitest"
import type * as Bytes from "../src/internal/bytes.ts"

const { readLength, writeLength } = await vi.importActual<typeof Bytes>("../src/internal/bytes.ts")

const byDataView = {
  1: (view: DataView) => BigInt(view.getUint8(3)),
  2: (view: DataView, little: boolean) => BigInt(view.getUint16(3, little)),
  4: (view: DataView, little: boolean) => BigInt(view.getUint32(3, little)),
  8: (view: DataView, little: boolean) => view.getBigUint64(3, little)
}
const lengths = [0, 1, 127, 128, 255, 256, 65_535, 65_536, 2 ** 24 + 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 7]

describe("a length field", () => {
  for (const width of [1, 2, 4, 8] as const) {
    for (const little of [false, true]) {
      it(`of ${width} bytes, ${little ? "little" : "big"} endian`, () => {
        for (const length of [...lengths, Number.MAX_SAFE_INTEGER].filter((length) => length < 2 ** (8 * width))) {
          const out = new Uint8Array(14).fill(0xee)
          writeLength(out, 3, width, little, length)
          assert.strictEqual(byDataView[width](new DataView(out.buffer), little), BigInt(length))
          assert.strictEqual(readLength(out, 3, width, little), length)
          const around = [...out.subarray(0, 3), ...out.subarray(3 + width)]
          assert.isTrue(around.every((byte) => byte === 0xee))
        }
      })
    }
  }

  it("of eight bytes that is more than a number is exact to", () => {
    const all = new Uint8Array(8).fill(0xff)
    assert.strictEqual(readLength(all, 0, 8, false), Number(2n ** 64n - 1n))
    assert.strictEqual(readLength(all, 0, 8, true), Number(2n ** 64n - 1n))
  })
})
