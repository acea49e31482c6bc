/**
 * Loaded before a measured server of Node (`--import`), so that no server file knows it is measured:
 * answers `memory` after a full collection, and ends with its parent.
 */
process.on("message", (message) => {
  if (message !== "memory") return
  globalThis.gc?.()
  globalThis.gc?.()
  const { external, heapUsed, rss } = process.memoryUsage()
  process.send?.({ heap: heapUsed + external, rss })
})
process.on("disconnect", () => process.exit())
process.channel?.unref()
