import { isPikoError, PikoError } from '../errors.ts'

/** Collects errors of several jobs, so that one error names them all. */
export class Faults {
  readonly errors: PikoError[] = []

  /** Returns the result of `read`. If it throws a PikoError, stores the error and returns `otherwise`. */
  gather<T, F>(read: () => T, otherwise: F): T | F {
    try {
      return read()
    } catch (thrown) {
      this.add(thrown)
      return otherwise
    }
  }

  /** Stores a PikoError. Throws any other error again. */
  add(thrown: unknown): void {
    if (!isPikoError(thrown)) throw thrown
    this.errors.push(thrown)
  }

  /**
   * Throws the stored errors.
   *
   * @throws PikoError the only error, or one with all messages. Its code is their common code, otherwise `JOB_INVALID`
   */
  throwIfAny(): void {
    const [first, ...others] = this.errors
    if (!first) return
    if (others.length === 0) throw first
    const codes = new Set(this.errors.map(({ code }) => code))
    const lines = this.errors.map(({ message }) => `  ${message.replaceAll('\n', '\n  ')}`)
    throw new PikoError(
      codes.size === 1 ? first.code : 'JOB_INVALID',
      `${this.errors.length} errors in the definitions of jobs:\n${lines.join('\n')}`,
      {
        cause: first,
        details: { problems: this.errors.map(({ code, message, details }) => ({ code, message, details })) },
      },
    )
  }
}
