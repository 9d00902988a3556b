import { type Events } from '../telemetry/events.ts'
import { visibleLine } from '../job/visible.ts'

const MAX_NAMED = 5

/**
 * Code of a job may end the process (`process.exit(0)`) or set its exit code. Neither makes a success of a command that has not come to
 * its end, or that has failed.
 */
class ExitGuard {
  readonly #running = new Map<number, string>()
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

  /** Names the runs that are under way. */
  watch(events: Events): void {
    events.on('run.started', ({ runId, jobId }) => this.#running.set(runId, jobId))
    events.on('run.settled', ({ runId }) => this.#running.delete(runId))
    events.on('run.lost', ({ runId }) => this.#running.delete(runId))
  }

  #check(code: number): void {
    if (this.#isAllowed) return
    if (this.#code !== undefined) {
      if (code === 0) process.exitCode = this.#code
      return
    }
    if (code === 0) process.exitCode = 1
    const named = [...this.#running].slice(0, MAX_NAMED).map(([runId, jobId]) => `${visibleLine(jobId)} ${runId}`)
    const more = this.#running.size > named.length ? ` and ${this.#running.size - named.length} more` : ''
    const runs =
      named.length > 0
        ? ` with runs under way: ${named.join(', ')}${more}; they are run again when this node's lease has ended`
        : ''
    process.stderr.write(
      `piko: the process was ended with code ${code} before the command was done${runs}. Code of a job must not call process.exit\n`,
    )
  }
}

/** Of this process. */
export const exitGuard = new ExitGuard()
