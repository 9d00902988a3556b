import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const HOUSE = fileURLToPath(new URL('../../scripts/house.ts', import.meta.url))

interface Checked {
  readonly exitCode: number
  readonly violations: readonly string[]
}

/** Source files by path. */
type Files = Readonly<Record<string, string>>

const LONG = 'export const line = 1\n'.repeat(351)
const CROWD: Files = Object.fromEntries(
  Array.from({ length: 26 }, (_, index) => [`src/store/many/file-${index}.ts`, 'export {}\n']),
)

const IN_ORDER: Files = {
  'src/time/zone.ts': 'export interface Zone {\n  readonly name: string\n}\n',
  'src/store/row.ts': "import { type Zone } from '../time/zone.ts'\nexport type Row = Zone\n",
  'src/store/long.ts': `// Long because each line is a case of one table.\n${LONG}`,
  ...Object.fromEntries(Object.entries(CROWD).slice(1)),
  // The one concept that needs a cycle of types.
  'src/service/observer.ts': "import { type Service } from './service.ts'\nexport type Observer = Service\n",
  'src/service/service.ts':
    "import { type Observer } from './observer.ts'\nexport interface Service {\n  o: Observer\n}\n",
}

/** Each planted fault, with its expected name. */
const FAULTS: readonly (readonly [what: string, planted: Files, named: string])[] = [
  [
    'a cycle of types',
    {
      'src/run/one.ts': "import { type Two } from './two.ts'\nexport interface One {\n  two: Two\n}\n",
      'src/run/two.ts': "import { type One } from './one.ts'\nexport interface Two {\n  one: One\n}\n",
    },
    'import cycle: src/run/one.ts → src/run/two.ts',
  ],
  [
    'a cycle that includes a file of the allowed one',
    {
      'src/service/observer.ts': "import { type Third } from './third.ts'\nexport type Observer = Third\n",
      'src/service/third.ts':
        "import { type Observer } from './observer.ts'\nexport interface Third {\n  o: Observer\n}\n",
    },
    'import cycle: src/service/observer.ts → src/service/third.ts',
  ],
  [
    'an import of a higher tier',
    { 'src/time/late.ts': "import { type Row } from '../store/row.ts'\nexport type Late = Row\n" },
    'upward import: src/time/late.ts → src/store/row.ts',
  ],
  [
    'an import of a room beside',
    { 'src/sink/near.ts': "export { borrow } from '../resource/borrow.ts'\n" },
    'upward import: src/sink/near.ts → src/resource/borrow.ts',
  ],
  ['a crowded folder', CROWD, 'crowded folder: src/store/many has 26 files; at most 25'],
  [
    'a long file that does not say why',
    { 'src/store/long.ts': LONG },
    'long file: src/store/long.ts (351); split it, or add a line "// Long because …"',
  ],
  [
    'a room without a tier',
    { 'src/attic/old.ts': 'export {}\n' },
    'no tier: src/attic/old.ts; add its room to scripts/house/tiers.json',
  ],
]

describe('the house check', () => {
  let folder: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'piko-house-'))
  })

  afterEach(() => rm(folder, { recursive: true }))

  async function check(files: Files): Promise<Checked> {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(join(folder, dirname(path)), { recursive: true })
      await writeFile(join(folder, path), text)
    }
    return new Promise((resolve) => {
      execFile(process.execPath, [HOUSE, '--check', '--json'], { cwd: folder }, (error, stdout) => {
        const { violations } = JSON.parse(stdout) as Pick<Checked, 'violations'>
        resolve({ exitCode: Number(error?.code ?? 0), violations })
      })
    })
  }

  it('passes a house in order', async () => {
    expect(await check(IN_ORDER)).toEqual({ exitCode: 0, violations: [] })
  })

  it.each(FAULTS)('fails on %s, and names only that', async (_what, planted, named) => {
    expect(await check({ ...IN_ORDER, ...planted })).toEqual({ exitCode: 1, violations: [named] })
  })
})
