import type { Piko } from '../../app/piko.ts'
import { STOP_MARGIN_MS } from '../../engine/execution/stop-plan.ts'
import { redactText } from '../../run/redact.ts'
import { visible } from '../../visible.ts'
import { toError } from '../../errors.ts'
import { say } from '../../say.ts'
import { Worker } from '../../service/worker.ts'
import type { Settings } from '../../settings/settings.ts'
import { catchStrayErrors } from './stray-errors.ts'

/**
 * How long the worker waits for the app after `shutdown_timeout`. Normally the app stops earlier, even if a part of it does not respond.
 */
const LEAVE_MS = STOP_MARGIN_MS + 1_000

/** The process of `piko start`: the app's tree of services under a worker that handles signals, crashes and stray errors. */
export class AppWorker extends Worker {
  readonly #app: Piko
  readonly #onUp: () => void
  #startError: Error | undefined
  #isUp = false
  /**
   * Whether a stop was requested. A start that a stop has interrupted is not an error of the command, but errors of that stop are printed.
   */
  get #isToldToStop(): boolean {
    return this.shouldStop && this.#startError === undefined
  }

  constructor(app: Piko, { piko }: Settings, onUp: () => void) {
    super([], {
      name: piko.name,
      log: app.log,
      // The app's events already report crashes, so the worker logs changes of state only at the level `debug`.
      lifeLog: { stateChanged: (service, _from, to) => service.log.debug(to) },
      stopDeadline: `${piko.shutdownTimeoutMs + LEAVE_MS}ms`,
      // After a failed start the command prints the error in one line, so the worker prints nothing.
      print: (text) => {
        if (this.#isUp || this.#isToldToStop) say(visible(redactText(text)))
      },
    })
    this.#app = app
    this.#onUp = onUp
  }

  /** Why the app could not start. Undefined if it started, or if a stop interrupted the start. */
  get startError(): Error | undefined {
    return this.#startError
  }

  override async run(): Promise<number> {
    const release = catchStrayErrors(this.#app.log, (error) => this.crash(error))
    try {
      return await super.run()
    } finally {
      release()
    }
  }

  protected override async onStarted(): Promise<void> {
    this.defer(() => this.#app.stop())
    try {
      await this.#app.start({ under: this })
    } catch (error) {
      if (!this.shouldStop) this.#startError = toError(error)
      throw error
    }
    this.#isUp = true
    this.#onUp()
  }
}
