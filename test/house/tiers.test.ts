import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const CRUISE = join(ROOT, 'node_modules/.bin/depcruise')

describe('the direction of imports', () => {
  let folder: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'piko-house-'))
    await cp(join(ROOT, '.dependency-cruiser.cjs'), join(folder, '.dependency-cruiser.cjs'))
    await cp(join(ROOT, 'scripts/house/tiers.json'), join(folder, 'scripts/house/tiers.json'))
    await cp(join(ROOT, 'tsconfig.json'), join(folder, 'tsconfig.json'))
    await writeFile(join(folder, 'package.json'), '{ "name": "piko", "type": "module" }')
  })

  afterEach(() => rm(folder, { recursive: true }))

  async function cruise(files: Readonly<Record<string, string>>): Promise<string> {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(join(folder, path, '..'), { recursive: true })
      await writeFile(join(folder, path), text)
    }
    const args = ['src', '--config', '.dependency-cruiser.cjs', '--output-type', 'err']
    const env = { ...process.env, NODE_PATH: join(ROOT, 'node_modules') }
    const done = promisify(execFile)(CRUISE, args, { cwd: folder, env })
    return done.then(
      ({ stdout }) => stdout,
      (error: { stdout: string }) => error.stdout,
    )
  }

  it('catches an import of a higher tier, also of a type, and names the pair', async () => {
    const said = await cruise({
      'src/time/late.ts': `import { type Row } from '../store/row.ts'\nexport type Late = Row\n`,
      'src/store/row.ts': `export interface Row {\n  readonly id: number\n}\n`,
    })
    expect(said).toContain('time-must-not-import-store')
    expect(said).toContain('src/time/late.ts')
  })

  it('catches an import of a room in the same tier, and allows lower tiers', async () => {
    const said = await cruise({
      'src/sink/a.ts': `export const a = 1\n`,
      'src/resource/b.ts': `import { a } from '../sink/a.ts'\nexport const b = a\n`,
      'src/engine/planning/c.ts': `import { b } from '../../resource/b.ts'\nexport const c = b\n`,
    })
    expect(said).toContain('resource-must-not-import-sink')
    expect(said).not.toContain('engine-must-not-import')
  })
})
