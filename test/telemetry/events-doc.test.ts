import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { Events } from '../../src/events.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'

const read = (path: string): Promise<string> => readFile(new URL(`../../${path}`, import.meta.url), 'utf8')
const doc = await read('docs/events.md')
const [eventsPart = ''] = doc.split('\n## Metrics\n')
const metricsPart = await read('docs/metrics.md')

/** The rows of the table, keyed by the name in the first column. */
function rows(part: string, name: RegExp): Map<string, string> {
  const found = new Map<string, string>()
  for (const line of part.split('\n')) {
    const key = /^\| `([^`]+)` /.exec(line)?.[1]
    if (key !== undefined && name.test(key)) found.set(key, line)
  }
  return found
}

/** Names and fields of `EventMap`, read from its source because types do not exist at run time. */
async function declaredEvents(): Promise<Map<string, string[]>> {
  const source = await read('src/events.ts')
  const map = source.slice(source.indexOf('interface EventMap'), source.indexOf('\n}\n'))
  const fieldsOf = (body: string): string[] => [...body.matchAll(/(\w+)\??: /g)].map((field) => field[1] ?? '')
  const counts = /interface ItemCounts \{[^}]*\}/.exec(await read('src/item/item-counts.ts'))?.[0] ?? ''
  const events = new Map<string, string[]>()
  for (const [, name = '', body = '', more] of map.matchAll(/^ {2}'([a-z.]+)': \{([^}]*)\}( & ItemCounts)?/gm)) {
    events.set(name, more ? [...fieldsOf(body), ...fieldsOf(counts)] : fieldsOf(body))
  }
  return events
}

const events = await declaredEvents()
const NONE = { batches: 0, runs: 0, seconds: 0 }

describe('docs/events.md', () => {
  it('lists every event and no other', () => {
    expect(events.size).toBeGreaterThanOrEqual(11)
    expect([...rows(eventsPart, /\./).keys()].sort()).toEqual([...events.keys()].sort())
  })

  it.each([...events])('names every field of the payload of %s', (name, fields) => {
    const payload = rows(eventsPart, /\./).get(name)?.split('|').at(-2) ?? ''
    expect([...payload.matchAll(/`(\w+)`/g)].map((match) => match[1])).toEqual(fields)
  })

  it('lists every metric with its type and labels, and no other', async () => {
    const sources = {
      active: () => 0,
      slots: () => 0,
      resources: () => [],
      sinks: () => [],
      offload: () => [],
      openLanes: () => new Map<string, number>(),
      fleet: () => undefined,
      node: { claims: () => NONE, finishes: () => NONE, pool: () => undefined, configs: () => [] },
    }
    const metrics = new Metrics({ host: 'h', sources })
    metrics.observe(new Events())
    const { body } = await metrics.render()
    const types = new Map(
      [...body.matchAll(/^# TYPE (piko_\w+) (\w+)/gm)].map((match) => [match[1] ?? '', match[2] ?? '']),
    )
    const listed = rows(metricsPart, /^piko_/)
    expect([...listed.keys()].sort()).toEqual([...types.keys()].sort())
    for (const [name, row] of listed) expect(row.split('|')[2]?.trim(), name).toBe(types.get(name))
  })
})
