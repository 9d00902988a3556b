import { expect, it, onTestFinished } from 'vitest'
import { Piko } from '../../../src/app/piko.ts'
import { createClient } from '../../../src/client/index.ts'
import { testSettings } from '../../support/app.ts'
import { jobsOf, openScenario, type Scenario } from './scenario.ts'
import { byApp, byClient, byCommands, TASKS, type Tasks } from './ways.ts'

/** The answers of these show the state of the change, in a form of each way; the snapshot compares it. */
const CHANGES = /^(?:pause|resume|override|clear|drain|roll)/

async function done(scenario: Scenario, tasks: Tasks): Promise<Record<string, unknown>> {
  const results: Record<string, unknown> = {}
  for (const task of TASKS) {
    const answer = await tasks[task]()
    const shown: unknown = CHANGES.test(task) || answer === undefined ? 'done' : JSON.parse(JSON.stringify(answer))
    results[task] = { shown, after: await scenario.snapshot() }
  }
  return results
}

it('an operator gets the same by code, by commands and over HTTP', async () => {
  const coded = await openScenario()
  const app = new Piko({
    jobs: jobsOf(() => false),
    execute: false,
    settings: testSettings({ sqlitePath: `${coded.project.folder}/.piko/piko.db` }),
  })
  await app.start()
  onTestFinished(() => app.stop())
  const actor = { name: 'operator' }
  const byCode = await app.as(actor, () => done(coded, byApp(app)))
  expect(byCode['which jobs have failures']).toMatchObject({ shown: ['imports', 'orders'] })
  expect(byCode['the window that failed last night']).toMatchObject({
    shown: [['2026-03-03T00:00:00.000Z', 'ETIMEDOUT shop']],
  })
  expect(byCode['replay of one error']).toMatchObject({
    shown: 500,
    after: { imports: { succeeded: 500, failed: 500 } },
  })
  expect(byCode['backfill March']).toMatchObject({ shown: 27, after: { windows: { succeeded: 30, failed: 1 } } })
  const called = await openScenario()
  const client = createClient({ url: called.url, token: called.token })
  expect(await done(called, byClient(client))).toEqual(byCode)
  const typed = await openScenario()
  expect(await done(typed, byCommands(typed.project))).toEqual(byCode)
})
