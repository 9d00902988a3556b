import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads'
import { toError } from './errors.ts'
// An inline `type` import would leave an import statement without names, and that statement would run the thread's code here.
import type { GuardOrder } from './guard-thread-main.ts'
import { startThread, threadModule } from './thread-module.ts'

/** How long the thread stays alive when it has nothing to do, in milliseconds. */
const LINGER_MS = 1_000

/** A module that works in the guard thread. */
export interface Guard {
  /** The channel to the module. It keeps the process alive only while it is referenced by `ref()`. */
  readonly port: MessagePort
  /** Closes the channel. After that, the module must end its work. */
  readonly end: () => void
}

/**
 * The thread for work that must continue while the event loop is blocked, such as the renewal of leases. All such work shares one thread of
 * the process, because each thread needs about 12 MB of memory. The thread does not keep the process alive.
 */
class GuardThread {
  static #current: GuardThread | undefined
  readonly #worker: Worker
  readonly #failed = new Map<MessagePort, ((error: Error) => void) | undefined>()
  #linger: NodeJS.Timeout | undefined

  static get isRunning(): boolean {
    return GuardThread.#current !== undefined
  }

  static get current(): GuardThread {
    return (this.#current ??= new GuardThread())
  }

  private constructor() {
    this.#worker = startThread('guard-thread-main', import.meta.url, { name: 'piko guard' })
    this.#worker.on('error', (error: unknown) => this.#end(toError(error)))
    this.#worker.on('exit', (code) =>
      this.#end(new Error(`the thread of heartbeats and the watchdog ended with code ${code}`)),
    )
    this.#worker.unref()
  }

  begin(url: URL, data: unknown, failed: ((error: Error) => void) | undefined): Guard {
    clearTimeout(this.#linger)
    const { port1: port, port2 } = new MessageChannel()
    this.#failed.set(port, failed)
    this.#worker.postMessage({ url: url.href, port: port2, data, mayFail: failed === undefined } satisfies GuardOrder, [
      port2,
    ])
    port.on('close', () => this.#left(port))
    port.unref()
    return { port, end: () => port.close() }
  }

  #left(port: MessagePort): void {
    if (!this.#failed.delete(port) || this.#failed.size > 0) return
    this.#linger = setTimeout(() => {
      // The next guard starts a new thread.
      if (GuardThread.#current === this) GuardThread.#current = undefined
      void this.#worker.terminate()
    }, LINGER_MS).unref()
  }

  #end(error: Error): void {
    if (GuardThread.#current === this) GuardThread.#current = undefined
    const failed = [...this.#failed.values()]
    this.#failed.clear()
    for (const one of failed) one?.(error)
  }
}

/** Whether the guard thread runs already, so that a short task there costs no start of a thread. */
export function isGuardRunning(): boolean {
  return GuardThread.isRunning
}

/**
 * Runs the function `guard` of a module in the guard thread.
 *
 * @param name the file name of the module, without its extension
 * @param base the URL of a module in the same folder
 * @param data the second argument of `guard`; the first is the other end of the channel
 * @param failed called if the thread ends too early, for example because of an error in another of its modules. Undefined: the work may
 *   fail; then the channel only closes
 * @throws PikoError `USAGE` if the process is not allowed to start threads
 */
export function startGuard(name: string, base: string, data: unknown, failed?: (error: Error) => void): Guard {
  return GuardThread.current.begin(threadModule(name, base), data, failed)
}
