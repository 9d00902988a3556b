import { headline } from '../../errors-read.ts'
import { say } from '../../say.ts'
import { exitGuard } from '../process/exit-guard.ts'

/**
 * How much a command depends on its standard output. The output can be the whole purpose (`runs list`), the result of work that continues
 * without it (`run`), or only a notice (`start`).
 */
type Stake = 'all' | 'result' | 'notice'

/**
 * Handles errors of standard output. If the output can't be written, a command that only shows something ends. Other commands continue
 * until their runs have ended. A successful command keeps the exit code 0 if the reader has closed the pipe (`piko windows … | head`) or
 * only a notice was lost; otherwise it becomes 1.
 */
class CommandOutput {
  stake: Stake = 'all'
  #error: Error | undefined

  guard(): void {
    process.stdout.on('error', (error: Error) => this.#onError(error))
  }

  /** Returns the exit code of a command, changed if output was lost. */
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

/** Watches the standard output of this process. Each command sets its `stake`. */
export const commandOutput = new CommandOutput()
