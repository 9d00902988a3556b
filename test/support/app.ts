import { onTestFinished, vi } from 'vitest'
import { Piko } from '../../src/app/piko.ts'
import type { JobSource } from '../../src/job/job-source.ts'
import type { SettingsOverrides } from '../../src/settings/settings.ts'
import type { OpenOptions } from '../../src/store/connection/database.ts'
import type { EventMap, EventName } from '../../src/events.ts'
import { PATIENCE_MS } from './patience.ts'
import type { PikoOptions } from '../../src/app/piko-options.ts'

export interface AppOptions extends Omit<PikoOptions, 'jobs'> {
  /** Whether the test expects a failing stop. */
  readonly stopMayFail?: boolean
}

/** Settings that point to a test store. */
export function storeSettings({ mysql, sqlitePath }: OpenOptions): SettingsOverrides {
  if (!mysql) return sqlitePath === undefined ? {} : { sqlite: { path: sqlitePath } }
  const { user, password, host, port, database } = mysql
  return {
    mysql: { dsn: `mysql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}:${port}/${database}` },
  }
}

/** Fast, silent settings on a test store; `more` overrides them. */
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

/** Creates an app on a store without starting it. It stops after the test. */
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

/** Creates and starts an app on a store. */
export async function startApp(store: OpenOptions, jobs: JobSource, options: AppOptions = {}): Promise<Piko> {
  const app = makeApp(store, jobs, options)
  await app.start()
  return app
}

/** Resolves with the payload of the next matching event. */
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

/** Repeats the assertions until they hold. */
export function eventually<T>(assertions: () => T | Promise<T>, timeoutMs = PATIENCE_MS): Promise<T> {
  return vi.waitFor(assertions, { timeout: timeoutMs, interval: 15 })
}

/** A gate that a test keeps closed until it opens it. */
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

/** Counts how many are inside at the same time, and the maximum. */
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
