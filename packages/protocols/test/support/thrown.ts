/** How often `TextDecoder` throws while something runs: that costs as much as thousands of bytes. */
export const undecoded = (run: () => void): number => {
  const { prototype } = TextDecoder
  const { decode } = prototype
  let thrown = 0
  prototype.decode = function (...of) {
    try {
      return decode.apply(this, of)
    } catch (error) {
      thrown++
      throw error
    }
  }
  try {
    run()
  } finally {
    prototype.decode = decode
  }
  return thrown
}
