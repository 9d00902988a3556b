import { describe, headline } from '../errors-read.ts'
import { isPikoError, PikoError } from '../errors.ts'
import { problemsText } from '../options.ts'

/** Collects the faults of one job, so that one error names all of them. */
export class SpecFaults {
  readonly #errors: PikoError[] = []
  readonly #id: unknown

  constructor(id: unknown) {
    this.#id = id
  }

  get #subject(): string {
    return `job ${describe(this.#id)}`
  }

  add(problem: string): void {
    this.#errors.push(new PikoError('JOB_INVALID', `${this.#subject}: ${problem}`, { details: { jobId: this.#id } }))
  }

  /** Returns the result of `read`. If it throws, stores a fault and returns `otherwise`. */
  gather<T, F>(read: () => T, otherwise: F): T | F {
    try {
      return read()
    } catch (thrown) {
      if (isPikoError(thrown)) this.#errors.push(thrown)
      else this.add(`an option can't be read: reading it threw ${headline(thrown)}`)
      return otherwise
    }
  }

  /**
   * Throws the stored faults.
   *
   * @throws PikoError the only fault, or one error that names all. Its code is their common code, otherwise `JOB_INVALID`
   */
  throwIfAny(): void {
    const [first, ...others] = this.#errors
    if (!first) return
    if (others.length === 0) throw first
    const codes = new Set(this.#errors.map(({ code }) => code))
    const problems = this.#errors.flatMap(({ message }) => message.split('\n')).map((line) => this.#alone(line))
    throw new PikoError(codes.size === 1 ? first.code : 'JOB_INVALID', problemsText(this.#subject, problems), {
      cause: first,
      details: { jobId: this.#id, problems },
    })
  }

  /** Returns the line without the name of the job, because the first line already contains it. */
  #alone(line: string): string {
    return line.replace(`${this.#subject}: `, '').replace(` of ${this.#subject} is `, ' is ')
  }
}
