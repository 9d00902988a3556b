import { headline } from '../../errors-read.ts'
import { say } from '../../say.ts'
import { exitGuard } from '../process/exit-guard.ts'

/**
 * What standard output is to a command: all that it does (`runs list`), the result of work that goes on without it (`run`), or a notice
 * (`start`).
 */
type Stake = 'all' | 'result' | 'notice'

/**
 * What becomes of a command whose standard output can't be written. One that only shows something has nothing left to do, and ends;
 * others go on to the ends of their runs. The exit code is 0 where the reader has left (`piko windows … | head`) or a notice was lost.
 */
class CommandOutput {
  stake: Stake = 'all'
  #error: Error | undefined

  guard(): void {
    process.stdout.on('error', (error: Error) => this.#onError(error))
  }

  /** The exit code of a command that ended with this one. */
  codeOf(code: number): number {
    if (code !== 0 || !this.#error || this.stake === 'notice') return code
    return isReaderGone(this.#error) ? 0 : 1
  }

  #onError(error: Error): void {
    if (this.#error) return
    this.#error = error
    if (!isReaderGone(error)) say(`piko: standard output can't be written: ${headline(error)}`)
    if (this.stake !== 'all') return
    exitGuard.allow()
    process.exit(this.codeOf(0))
  }
}

function isReaderGone(error: Error): boolean {
  return 'code' in error && error.code === 'EPIPE'
}

/** Of this process. */
export const commandOutput = new CommandOutput()
