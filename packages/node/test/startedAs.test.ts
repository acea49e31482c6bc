/** As what a program is started again: its flags, and the directory that they are found from. */
import { assert, describe, it } from "@effect/vitest"
import { directoryOf, flagsOf, threadFlagsOf } from "../src/internal/startedAs.ts"

describe("the flags of workers and copies", () => {
  it.each([
    { given: ["--import", "./x.mjs"], kept: ["--import", "./x.mjs"] },
    { given: ["--inspect", "--enable-source-maps"], kept: ["--enable-source-maps"] },
    { given: ["--inspect-brk=9230", "-r", "a"], kept: ["-r", "a"] },
    { given: ["--inspect-port", "9230", "-r", "a"], kept: ["-r", "a"] },
    { given: ["--watch", "--watch-path", "src", "--import=b"], kept: ["--import=b"] },
    { given: ["--watch-path=src", "--import=b"], kept: ["--import=b"] }
  ])("of $given are $kept", ({ given, kept }) => assert.deepStrictEqual(flagsOf(given), kept))
})

describe("the directory of workers and copies", () => {
  it.each([
    { way: "is where this was loaded", main: "main.js", found: "/a/main.js", here: "/a", shell: "/b", is: "/a" },
    { way: "was left before", main: "main.js", found: "/a/main.js", here: "/", shell: "/b", is: "/a" },
    { way: "is the root", main: "main.js", found: "/main.js", here: "/tmp", shell: "/b", is: "/" },
    { way: "is above the program", main: "./x/../main.js", found: "/a/main.js", here: "/", shell: "/b", is: "/a" },
    { way: "is beside the program", main: "../c/main.js", found: "/a/c/main.js", here: "/", shell: "/a/b", is: "/a/b" },
    { way: "is not told by the shell", main: "../c/main.js", found: "/a/c/main.js", here: "/", shell: "/b", is: "/" },
    { way: "does not matter", main: "/a/main.js", found: "/a/main.js", here: "/", shell: "/a", is: "/" },
    { way: "is not known by the system", main: undefined, found: "/a/main.js", here: "/c", shell: "/a", is: "/c" }
  ])("$way: $is", ({ found, here, is, main, shell }) => assert.strictEqual(directoryOf(main, found, here, shell), is))
})

describe("the flags of threads, which are where their program is", () => {
  it.each([
    { given: ["--import", "./x.mjs"], now: "/a", are: undefined },
    { given: ["--import", "./x.mjs"], now: "/", are: ["--import", "/a/x.mjs"] },
    { given: ["--import=../x.mjs", "-r", "some"], now: "/", are: ["--import", "/x.mjs", "-r", "some"] },
    { given: ["--import", "some"], now: "/", are: undefined },
    { given: ["--max-old-space-size=99"], now: "/", are: undefined }
  ])("of $given in $now are $are", ({ are, given, now }) =>
    assert.deepStrictEqual(threadFlagsOf(given, "/a", now), are)
  )
})
