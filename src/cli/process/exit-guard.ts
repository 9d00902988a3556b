import { safely } from '../../errors-read.ts'
import { visibleLine } from '../../visible.ts'
import { say } from '../../say.ts'

const MAX_NAMED = 5
/** Node's own, for a top-level `await` that nothing can settle any more. */
const UNSETTLED = 13

/** What the guard asks about work under way: an app, or a part of one. */
interface Worked {
  readonly runsUnderWay: readonly { readonly runId: number; readonly jobId: string }[]
}

/**
 * Code of a job may end the process (`process.exit(0)`) or set its exit code. Neither makes a success of a command that has not come to
 * its end, or that has failed.
 */
class ExitGuard {
  #app: Worked | undefined
  /** Undefined while the command is under way. */
  #code: number | undefined
  #isAllowed = false

  /** From here on an exit before `finish` is a failure. */
  begin(): void {
    process.once('exit', (code) => this.#check(code))
  }

  /** The command has come to its end with this code. */
  finish(code: number): void {
    this.#code = code
  }

  /** The next exit is meant as it is. */
  allow(): void {
    this.#isAllowed = true
  }

  /** Names the runs that are under way here when the process ends. Nothing is kept until then. */
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
      `piko: the process was ended with code ${code} before the command was done${this.#runs()}. ` +
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

/** Of this process. */
export const exitGuard = new ExitGuard()
