import { Counter, Registry } from 'prom-client'
import { expect, it } from 'vitest'
import { ItemError } from '../../src/item/item-error.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { startTestApp } from '../../src/testing/test-app.ts'
import { rejected } from '../support/thrown.ts'

it('a registry of the user has the metrics of the app between its start and its stop, beside its own', async () => {
  const registry = new Registry()
  new Counter({ name: 'orders_total', help: 'Orders.', registers: [registry] }).inc()
  const work = defineJob({ id: 'work' }, () => {})
  const app = await startTestApp({ jobs: work, registry, notifiers: [{ name: 'ops', send: () => {} }] })
  await app.run('work', { wait: true })
  const text = await registry.metrics()
  expect(text).toContain('orders_total 1')
  expect(text).toContain('piko_job_run_total{job_id="work",status="succeeded"} 1')
  expect(text).toContain('piko_job_run_total{job_id="work",status="lost"} 0')
  expect(text).toContain('piko_notice_total{notifier="ops",outcome="failed"} 0')
  expect(text).toContain('piko_job_duration_seconds_count{job_id="work"} 1')
  const names = (body: string): string[] => [...body.matchAll(/^# TYPE (piko_\w+)/gm)].map(([, name]) => String(name))
  expect(names(text)).toEqual(names((await app.metrics()).body))
  const json = await registry.getMetricsAsJSON()
  expect(json.find(({ name }) => name === 'piko_slots')).toMatchObject({ type: 'gauge' })

  const error = await rejected(startTestApp({ jobs: work, registry }))
  expect(error).toMatchObject({ code: 'USAGE' })
  expect(error.message).toMatch(
    /registry has \d+ metrics of Piko already, such as piko_\w+: another app .* Stop that app first/,
  )
  expect(await registry.metrics()).toContain('piko_slots')
  await app.stop()
  expect((await registry.metrics()).trim().split('\n')).toEqual([
    '# HELP orders_total Orders.',
    '# TYPE orders_total counter',
    'orders_total 1',
  ])
  await using next = await startTestApp({ jobs: work, registry })
  expect(next.isStopping).toBe(false)
  expect(await registry.metrics()).toContain('piko_slots')
})

it('a registry of the user has the metrics of items', async () => {
  const registry = new Registry()
  const failing = { run: () => Promise.reject(new ItemError('gone', { class: 'missing' })), retry: { missing: 0 } }
  const pages = defineJob({ id: 'pages', items: { page: failing } }, async (ctx) => {
    await ctx.items.add('page', ['a'])
  })
  await using app = await startTestApp({ jobs: pages, registry })
  await expect(app.run('pages', { wait: true })).rejects.toThrow('1 of 1 item ')
  const text = await registry.metrics()
  expect(text).toContain('piko_item_total{job_id="pages",kind="page",state="dead"} 1')
  expect(text).toContain('piko_item_seconds_count{job_id="pages",kind="page"} 1')
  expect(text).toContain('piko_item_phase_seconds_count{job_id="pages",kind="page",phase="function"} 1')
  expect(text).toContain('piko_item_error_total{job_id="pages",class="missing"} 1')
})
