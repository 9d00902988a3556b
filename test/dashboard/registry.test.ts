import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { ANY_ROUTES } from '../../src/api/routes.ts'

const SOURCE = fileURLToPath(new URL('../../src/dashboard', import.meta.url))
const CHANGING = ANY_ROUTES.filter(({ audit }) => audit !== undefined)

/** Operations of the API that change something for which the dashboard has no page. */
const NOT_OFFERED: readonly string[] = [
  ...['batches.create', 'batches.cancel', 'batches.replay'],
  ...['items.replay', 'items.pause', 'items.resume'],
  ...['crawls.replay', 'crawls.pause', 'crawls.resume'],
  ...['shared.publish', 'shared.rollback', 'cache.clear'],
  ...['nodes.set', 'runs.prune'],
]

/** The part of the module that is compared. Its own types would bring those of browsers into all tests. */
interface Registry {
  readonly OFFERS: Readonly<Record<string, { readonly of: string; readonly name: string; readonly missing: string }>>
  changeEntries(found: object): readonly { readonly name: string; readonly off?: string }[]
}

let registry: Registry

beforeAll(async () => {
  // What the modules of a page need while they load.
  vi.stubGlobal('location', { href: 'http://127.0.0.1/' })
  vi.stubGlobal('document', { documentElement: { dataset: {} }, addEventListener: () => {} })
  registry = (await import(`${SOURCE}/actions/registry.ts`)) as Registry
})

afterAll(() => vi.unstubAllGlobals())

/** Returns the changing operations that the code of the pages requests. */
function requested(): string[] {
  const found = new Set<string>()
  for (const file of globSync('**/*.{ts,tsx}', { cwd: SOURCE })) {
    const text = readFileSync(`${SOURCE}/${file}`, 'utf8')
    for (const [, method, path = ''] of text.matchAll(/method: '(POST|PUT|DELETE)',\s*path: ([`'][^`',]*[`'])/g)) {
      const parts = path
        .slice(1, -1)
        .replaceAll(/\$\{[^}]*\}/g, '{}')
        .split('/')
      const isIt = (route: string): boolean => {
        const wanted = route.split('/')
        return wanted.length === parts.length && parts.every((part, index) => part === '{}' || part === wanted[index])
      }
      for (const route of CHANGING) if (route.method === method && isIt(route.path)) found.add(route.id)
    }
  }
  return [...found].toSorted()
}

it('the palette offers every change that a page can make, and each operation without a page is named', () => {
  const offered = Object.keys(registry.OFFERS)
  // `/backfills/${id}/${change}` may be any change of a backfill.
  expect(requested()).toEqual(offered.toSorted())
  expect([...offered, ...NOT_OFFERED].toSorted()).toEqual(CHANGING.map(({ id }) => id).toSorted())
})

it('an action whose subject is not found yet says what is missing', () => {
  const nothing = {
    none: [undefined],
    job: [],
    windows: [],
    run: [],
    backfill: [],
    node: [],
    service: [],
    limit: [],
    sink: [],
    token: [],
  }
  const entries = registry.changeEntries(nothing)
  for (const { of, name, missing } of Object.values(registry.OFFERS)) {
    if (of === 'none') continue
    expect(entries.filter((entry) => entry.name === name)).toMatchObject([{ off: missing }])
  }
})
