import { safely } from '../../errors-read.ts'
import { visibleLine } from '../../visible.ts'
import { say } from '../../say.ts'

const MAX_NAMED = 5
/** Node's exit code for a top-level `await` that can never settle. */
const UNSETTLED = 13

/** An app, or a part of an app, that can list its runs in progress. */
interface Worked {
  readonly runsUnderWay: readonly { readonly runId: number; readonly jobId: string }[]
}

/**
 * Makes sure that a job's code can't turn a failed or unfinished command into a success. That code may call `process.exit(0)` or set the
 * exit code.
 */
class ExitGuard {
  #app: Worked | undefined
  /** The command's exit code; undefined until the command has ended. */
  #code: number | undefined
  #isAllowed = false

  /** Starts the guard. Until `finish` is called, every exit of the process counts as a failure, unless it was allowed. */
  begin(): void {
    process.once('exit', (code) => this.#check(code))
  }

  /** Records that the command has ended with this code. */
  finish(code: number): void {
    this.#code = code
  }

  /** Allows the next exit with any code. */
  allow(): void {
    this.#isAllowed = true
  }

  /** Sets the app whose runs are named in the error if the process exits too early. */
  watch(app: Worked): void {
    this.#app = app
  }

  #check(code: number): void {
    if (this.#isAllowed) return
    if (this.#code !== undefined) {
      if (code === 0) process.exitCode = this.#code
      return
    }
    if (code === 0) process.exitCode = 1
    say(
      `piko: the process exited with code ${code} before the command was done${this.#runs()}. ` +
        (code === UNSETTLED
          ? 'A top-level await of a module never settles'
          : 'The code of a job must not call process.exit'),
    )
  }

  #runs(): string {
    const runs = safely(() => this.#app?.runsUnderWay, undefined) ?? []
    if (runs.length === 0) return ''
    const named = runs.slice(0, MAX_NAMED).map(({ runId, jobId }) => `${visibleLine(jobId)} ${runId}`)
    const more = runs.length > named.length ? ` and ${runs.length - named.length} more` : ''
    return ` with runs in progress: ${named.join(', ')}${more}; they run again when this node's lease has expired`
  }
}

/** The guard of this process. */
export const exitGuard = new ExitGuard()
