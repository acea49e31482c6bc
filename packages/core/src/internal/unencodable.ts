/**
 * A message that its protocol cannot express, with the reason.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unencodable {
  readonly problem: string
  constructor(problem: string) {
    this.problem = problem
  }
}
