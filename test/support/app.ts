import { onTestFinished, vi } from 'vitest'
import { Piko } from '../../src/app/piko.ts'
import { type JobSource } from '../../src/job/job-source.ts'
import { type SettingsOverrides } from '../../src/settings/keys.ts'
import { type OpenOptions } from '../../src/store/connection/database.ts'
import { type EventMap, type EventName } from '../../src/events.ts'
import { PATIENCE_MS } from './patience.ts'
import { type PikoOptions } from '../../src/app/piko-options.ts'

export interface AppOptions extends Omit<PikoOptions, 'jobs'> {
  /** The test expects that stopping the app fails. */
  readonly stopMayFail?: boolean
}

/** The settings that name a test store. */
export function storeSettings({ mysql, sqlitePath }: OpenOptions): SettingsOverrides {
  if (!mysql) return sqlitePath === undefined ? {} : { sqlite: { path: sqlitePath } }
  const { user, password, host, port, database } = mysql
  return {
    mysql: { dsn: `mysql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}:${port}/${database}` },
  }
}

/** Fast, silent settings on a test store; what `more` says goes before them. */
export function testSettings(store: OpenOptions, more: SettingsOverrides = {}): SettingsOverrides {
  const { sqlite, mysql } = storeSettings(store)
  return {
    ...more,
    piko: {
      log_level: 'silent',
      poll_interval: '50ms',
      lease: '15s',
      shutdown_timeout: '30s',
      block_threshold: '0s',
      ...more.piko,
    },
    sqlite: { ...sqlite, ...more.sqlite },
    mysql: { ...mysql, ...more.mysql },
  }
}

/** An app on a store, not started; it is stopped when the test has ended. */
export function makeApp(store: OpenOptions, jobs: JobSource, options: AppOptions = {}): Piko {
  const { stopMayFail = false, ...pikoOptions } = options
  const app = new Piko({ ...pikoOptions, jobs, settings: testSettings(store, options.settings) })
  onTestFinished(async () => {
    await app.stop().catch((error: unknown) => {
      if (!stopMayFail) throw error
    })
  })
  return app
}

/** An app on a store, started. */
export async function startApp(store: OpenOptions, jobs: JobSource, options: AppOptions = {}): Promise<Piko> {
  const app = makeApp(store, jobs, options)
  await app.start()
  return app
}

/** The payload of the next event of this name that fits. */
export function nextEvent<N extends EventName>(
  app: Piko,
  name: N,
  fits: (payload: EventMap[N]) => boolean = () => true,
): Promise<EventMap[N]> {
  return new Promise((resolve) => {
    const off = app.events.on(name, (payload) => {
      if (!fits(payload)) return
      off()
      resolve(payload)
    })
  })
}

/** Collects the payloads of an event from now on. */
export function recordEvents<N extends EventName>(app: Piko, name: N): EventMap[N][] {
  const payloads: EventMap[N][] = []
  app.events.on(name, (payload) => payloads.push(payload))
  return payloads
}

/** Asks again until the assertions hold. */
export function eventually<T>(assertions: () => T | Promise<T>, timeoutMs = PATIENCE_MS): Promise<T> {
  return vi.waitFor(assertions, { timeout: timeoutMs, interval: 15 })
}

/** Something that tests hold shut and open when they like. */
export class Gate {
  readonly #opened = Promise.withResolvers<void>()

  open(): void {
    this.#opened.resolve()
  }

  /** Resolves once the gate is open, or rejects with the signal's reason. */
  pass(signal?: AbortSignal): Promise<void> {
    if (!signal) return this.#opened.promise
    const aborted = new Promise<never>((_resolve, reject) => {
      const leave = (): void => reject(signal.reason as Error)
      if (signal.aborted) leave()
      else signal.addEventListener('abort', leave, { once: true })
    })
    return Promise.race([this.#opened.promise, aborted])
  }
}

/** How many are inside at once, and the most there ever were. */
export class Headcount {
  current = 0
  most = 0

  enter(): void {
    this.most = Math.max(this.most, ++this.current)
  }

  leave(): void {
    this.current -= 1
  }
}
