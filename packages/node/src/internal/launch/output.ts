/** What a program prints is beside the point: whoever reads it may go, and the program goes on. */

let lost = 0

/** From now on a failure of stdout or stderr costs what was written, and no more: a pipe without a reader, a full disk, a terminal that is gone. */
export const tolerate = (): void => {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => lost++)
}

/** How many writes were lost so. */
export const lostWrites = (): number => lost
