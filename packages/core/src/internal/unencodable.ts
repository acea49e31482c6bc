/**
 * A message that its protocol cannot express, with the reason.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unencodable {
  readonly problem: string
  constructor(problem: string) {
    // A codec of a program's own may say anything, which must not look like no problem.
    this.problem = typeof problem === "string" && problem !== "" ? problem : "its codec does not say why"
  }
}
