import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest'
import { HttpService } from '../../src/http/http-service.ts'
import { defineJob } from '../../src/job/define-job.ts'
import type { Piko } from '../../src/app/piko.ts'
import { eventually, makeApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { freePort } from '../support/mysql-server.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { Prometheus, promtool } from '../support/prometheus.ts'

const file = (path: string): string => new URL(`../../deploy/${path}`, import.meta.url).pathname
const rules = readFileSync(file('prometheus/piko.rules.yml'), 'utf8')
/** The same rules for a test that can't wait for minutes. On a busy machine, a restart of both nodes takes some seconds. */
const [ofData = '', ofFleet = ''] = rules.split(/(?= {2}- name: piko-fleet)/)
const SHORT = ofData.replaceAll(/for: \dm/g, 'for: 3s') + ofFleet.replaceAll(/for: \dm/g, 'for: 20s')

it('the rules in deploy/prometheus are valid and pass their tests', async () => {
  expect(await promtool(['check', 'rules', file('prometheus/piko.rules.yml')])).toContain('10 rules found')
  expect(await promtool(['test', 'rules', file('prometheus/piko.rules.test.yml')])).toContain('SUCCESS')
})

it('the dashboard in deploy/grafana has valid expressions of known metrics', async () => {
  interface Panel {
    readonly id: number
    readonly title: string
    readonly targets?: readonly { readonly expr: string }[]
  }
  const { panels } = JSON.parse(readFileSync(file('grafana/piko.json'), 'utf8')) as { panels: Panel[] }
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
  const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
  const doc = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8')
  const known = new Set([...doc.matchAll(/^\| `(piko_\w+)`/gm)].map(([, name]) => name))
  for (const text of [...expressions, rules]) {
    for (const [name] of text.matchAll(/\bpiko_\w+/g))
      expect(known).toContain(name.replace(/_(?:bucket|sum|count)$/, ''))
  }
  const asRules = {
    groups: [
      {
        name: 'panels',
        rules: expressions.map((expr, index) => ({
          record: `panel:${index}`,
          expr: expr.replaceAll('$__rate_interval', '5m'),
        })),
      },
    ],
  }
  const folder = mkdtempSync(join(tmpdir(), 'piko-panels-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'panels.json')
  writeFileSync(path, JSON.stringify(asRules))
  expect(await promtool(['check', 'rules', path])).toContain(`${expressions.length} rules found`)
})

describeEachStore((fixture) => {
  if (fixture.name === 'sqlite') return it('is a fleet of two nodes, which a test on MySQL has', () => {})
  let prometheus: Prometheus
  let ports: number[]
  beforeAll(async () => {
    ports = [await freePort(), await freePort()]
    prometheus = await Prometheus.start(
      ports.map((port) => `127.0.0.1:${port}`),
      SHORT,
    )
  }, PATIENCE_MS)
  afterAll(() => prometheus.stop())
  beforeEach(() => fixture.empty())

  const windows = { start: '2026-01-01T00:00:00Z', end: '2026-01-03T00:00:00Z' }
  const failing = defineJob({ id: 'failing', cron: '0 0 * * *', deadline: '1s', windows }, () => {
    throw new Error('no')
  })
  const waiting = defineJob(
    { id: 'waiting', cron: '0 0 * * *', deadline: '1s', windows, dependsOn: [failing] },
    () => {},
  )
  const fine = defineJob({ id: 'fine', cron: '0 0 * * *', deadline: '1s', windows }, () => {})

  const start = async (port: number): Promise<Piko> => {
    const app = makeApp(fixture.options, [failing, waiting, fine], { settings: { http: { port } } })
    app.addService(new HttpService(app, { host: '127.0.0.1', port }), { first: true })
    await app.start()
    return app
  }

  it('a Prometheus that scrapes two nodes tells that data is late, and that a fleet is down, and nothing about a restart', async () => {
    const apps = [await start(ports[0] ?? 0), await start(ports[1] ?? 0)]
    await eventually(async () => {
      const firing = await prometheus.firing()
      expect(firing).toContain('PikoDataLate failing')
      expect(firing).toContain('PikoDataLate waiting')
    })
    expect(await prometheus.query('sum(up{job="piko"})')).toEqual([2])
    const body = await (await fetch(`http://127.0.0.1:${ports[0]}/metrics`)).text()
    expect(body).toContain('nodejs_active_handles{')
    expect(await promtool(['check', 'metrics'], body)).toBe('')
    for (const app of apps) await app.stop()
    const again = [await start(ports[0] ?? 0), await start(ports[1] ?? 0)]
    await eventually(async () => expect(await prometheus.query('sum(up{job="piko"})')).toEqual([2]))
    const firing = await prometheus.firing()
    expect(firing.filter((name) => /Down|fine|NothingPlanned|StoreAway/.test(name))).toEqual([])
    for (const app of again) await app.stop()
    await eventually(async () => expect(await prometheus.firing()).toContain('PikoDown'))
  })
})
