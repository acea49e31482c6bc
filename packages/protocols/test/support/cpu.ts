/** How much CPU something takes, in milliseconds, on however busy a machine. */
export const cpuSince = (start: NodeJS.CpuUsage): number => {
  const { system, user } = process.cpuUsage(start)
  return (system + user) / 1_000
}
