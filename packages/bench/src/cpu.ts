/**
 * Loaded before a measured server (`node --import`), so that no server file knows it is measured:
 * answers `cpu` with the CPU time of the whole process, all threads, and ends with its parent.
 */
process.on("message", (message) => {
  if (message === "cpu") process.send?.(process.cpuUsage())
})
process.on("disconnect", () => process.exit())
process.channel?.unref()
