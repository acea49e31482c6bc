import { bytesOf, isAscii, latin1, textOf } from "./bytes.ts"

/**
 * A command: byte strings, of which the first is its name.
 *
 * It is the bytes that it came in, or goes out in, with the places of its words: what
 * a program does not look at costs nothing. They may be a part of up to 64 KiB that
 * were read at once, so a program that keeps a command for long takes a
 * {@link copy}, and of a word {@link keep}.
 *
 * @category models
 * @since 0.1.0
 */
export class Command {
  /** All of it as an array of bulk strings, also where it came as an inline command. */
  readonly frame: Uint8Array
  /** Where each word starts in the frame, and where it ends. */
  private readonly places: ReadonlyArray<number>

  constructor(frame: Uint8Array, places: ReadonlyArray<number>) {
    this.frame = frame
    this.places = places
  }

  /** How many words it has, its name included. */
  get length(): number {
    return this.places.length >> 1
  }

  /** Its first word, as it was sent, a character for each byte. */
  get name(): string {
    return latin1(this.frame, this.places[0] as number, this.places[1] as number)
  }

  /** A word as it is, a view of the frame. Of one that is not there, no bytes. */
  bytes(index: number): Uint8Array {
    return this.frame.subarray(this.places[index * 2] ?? 0, this.places[index * 2 + 1] ?? 0)
  }

  /** How many bytes a word has. */
  size(index: number): number {
    return (this.places[index * 2 + 1] ?? 0) - (this.places[index * 2] ?? 0)
  }

  /** A word as text; what is no UTF-8 is shown as U+FFFD. */
  text(index: number): string {
    return textOf(this.bytes(index))
  }

  /** A word with a character for each byte: as the key of a `Map` it tells any two words apart. */
  key(index: number): string {
    return latin1(this.frame, this.places[index * 2] ?? 0, this.places[index * 2 + 1] ?? 0)
  }

  /** A word for keeping: text where all of it is ASCII, which costs least and is quickest to send; else a copy of its bytes. */
  keep(index: number): string | Uint8Array {
    const word = this.key(index)
    return isAscii(word) ? word : this.bytes(index).slice()
  }

  /** All words, as views of the frame. */
  get words(): ReadonlyArray<Uint8Array> {
    return Array.from({ length: this.length }, (_, index) => this.bytes(index))
  }

  /** The same command in memory of its own. */
  get copy(): Command {
    return new Command(this.frame.slice(), this.places)
  }

  toString(): string {
    return this.words.map((word) => JSON.stringify(textOf(word))).join(" ")
  }
}

/** What a word is made of: text stands for its UTF-8, a number for its digits. */
export type Word = string | number | bigint | Uint8Array

export const ofWords = (words: ReadonlyArray<Word>): Command => {
  const all = words.map((word) => (word instanceof Uint8Array ? word : bytesOf(String(word))))
  const heads = all.map((word) => `$${word.length}\r\n`)
  const first = `*${all.length}\r\n`
  let size = first.length
  for (let i = 0; i < all.length; i++) size += (heads[i] as string).length + (all[i] as Uint8Array).length + 2
  const frame = new Uint8Array(size)
  const places: Array<number> = []
  let at = 0
  const ascii = (text: string) => {
    for (let i = 0; i < text.length; i++) frame[at++] = text.charCodeAt(i)
  }
  ascii(first)
  for (let i = 0; i < all.length; i++) {
    const word = all[i] as Uint8Array
    ascii(heads[i] as string)
    places.push(at, at + word.length)
    frame.set(word, at)
    at += word.length
    ascii("\r\n")
  }
  return new Command(frame, places)
}
