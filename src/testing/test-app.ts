import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkedOptions } from '../app/check-options.ts'
import { Piko } from '../app/piko.ts'
import type { PikoOptions } from '../app/piko-options.ts'

export interface TestAppOptions extends PikoOptions {
  readonly jobs: NonNullable<PikoOptions['jobs']>
}

/**
 * Starts an app for a test, with an embedded store in a new temporary folder, without log lines and with short poll intervals. `stop()` (or
 * `await using`) stops the app and removes the folder.
 *
 * @example
 * await using app = await startTestApp({ jobs: [syncOrders] })
 * const run = await app.run('sync_orders', { config: { shop: 'us' }, wait: true })
 * expect(run.output).toEqual({ rows: 3 })
 */
export async function startTestApp(options: TestAppOptions): Promise<Piko> {
  checkedOptions(options)
  const folder = await mkdtemp(join(tmpdir(), 'piko-test-'))
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true })
  const { piko, ...sections } = options.settings ?? {}
  const app = new TestApp(
    {
      ...options,
      settings: {
        sqlite: { path: join(folder, 'piko.db') },
        ...sections,
        piko: { log_level: 'silent', poll_interval: '50ms', block_threshold: '0s', max_block: '0s', ...piko },
      },
    },
    remove,
  )
  try {
    await app.start()
  } catch (error) {
    await remove()
    throw error
  }
  return app
}

class TestApp extends Piko {
  readonly #remove: () => Promise<void>

  constructor(options: PikoOptions, remove: () => Promise<void>) {
    super(options)
    this.#remove = remove
  }

  override async stop(): Promise<void> {
    await super.stop()
    await this.#remove()
  }
}
