import { headline } from '../../errors-read.ts'
import { say } from '../../say.ts'
import { exitGuard } from '../process/exit-guard.ts'

/**
 * How much a command depends on standard output. It can be the whole purpose (`runs list`), the result of work that continues without it
 * (`run`), or a notice (`start`).
 */
type Stake = 'all' | 'result' | 'notice'

/**
 * Handles a standard output that can't be written. A command that only shows something then ends. Others continue until their runs have
 * ended. The exit code is 0 if the reader has closed the pipe (`piko windows … | head`) or only a notice was lost.
 */
class CommandOutput {
  stake: Stake = 'all'
  #error: Error | undefined

  guard(): void {
    process.stdout.on('error', (error: Error) => this.#onError(error))
  }

  /** Adjusts the exit code of a command for lost output. */
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

/** Guards the standard output of this process. A command sets its `stake`. */
export const commandOutput = new CommandOutput()
