import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { openDatabase } from '../../../../src/store/connection/database.ts'
import { migrate } from '../../../../src/store/migration/migrate.ts'
import { asUnprivileged } from '../../../support/unprivileged.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'piko-advice-'))
  chmodSync(folder, 0o777)
  onTestFinished(() => {
    chmodSync(folder, 0o777)
    rmSync(folder, { recursive: true, force: true })
  })
})

async function makeDatabase(mode: number): Promise<string> {
  const path = join(folder, 'piko.db')
  const database = await openDatabase({ sqlitePath: path })
  await migrate(database, { direction: 'up' })
  await database.close()
  chmodSync(path, mode)
  return path
}

function linkTo(target: string): string {
  const path = join(folder, 'link')
  symlinkSync(target, path)
  return path
}

describe('a path without a database', () => {
  const cases: Record<string, { readonly make: () => string; readonly says: string }> = {
    'a folder': { make: () => folder, says: 'it is a folder: name a file in it, such as ' },
    'a path below a file': {
      make: () => {
        writeFileSync(join(folder, 'file'), '')
        return join(folder, 'file', 'deeper', 'piko.db')
      },
      says: "is a file, and can't hold the database",
    },
    'a link that leads back to itself': {
      make: () => linkTo('link'),
      says: 'is a link that leads back to itself: replace it',
    },
    'a path below such a link': {
      make: () => join(linkTo('link'), 'piko.db'),
      says: 'leads back to itself: replace it',
    },
    'a link into a folder that is missing': {
      make: () => linkTo('missing/piko.db'),
      says: 'whose folder is missing: create the folder or replace the link',
    },
    'a folder that its file system does not make': {
      make: () => join('/proc/piko-missing/deeper', 'piko.db'),
      says: "ENOENT: no such file or directory, mkdir '/proc/piko-missing'",
    },
    'a file of another kind': {
      make: () => {
        writeFileSync(join(folder, 'text'), 'This is no database. '.repeat(100))
        return join(folder, 'text')
      },
      says: 'the file is not an SQLite database',
    },
  }

  it.each(Object.entries(cases))('is refused with advice: %s', async (_name, { make, says }) => {
    const path = make()
    await expect(openDatabase({ sqlitePath: path })).rejects.toMatchObject({
      code: 'DATABASE_UNREACHABLE',
      message: expect.stringMatching(new RegExp(`^cannot open SQLite file ${path}: .*${says}`)) as string,
    })
  })
})

describe('a user who may not write', () => {
  it.each(['write', 'start'] as const)('is told that a file is read-only: %s', async (act) => {
    const path = await makeDatabase(0o444)
    const error = asUnprivileged(act, path)
    expect(error?.code).toBe('DATABASE_UNREACHABLE')
    expect(error?.message).toContain(`cannot write to SQLite file ${path}: user `)
    expect(error?.message).toContain(`is not allowed to write to ${path}: SQLite needs the file and its folder`)
  })

  it.each(['open', 'start'] as const)('is told that a file is unreadable: %s', async (act) => {
    const path = await makeDatabase(0o000)
    const error = asUnprivileged(act, path)
    expect(error?.code).toBe('DATABASE_UNREACHABLE')
    expect(error?.message).toContain(`is not allowed to write to ${path}`)
  })

  it.each(['open', 'start'] as const)('is told that a folder is read-only: %s', async (act) => {
    const path = await makeDatabase(0o666)
    chmodSync(folder, 0o555)
    const error = asUnprivileged(act, path)
    expect(error?.code).toBe('DATABASE_UNREACHABLE')
    expect(error?.message).toContain(`is not allowed to write to ${folder}: SQLite needs the file and its folder`)
  })

  it('is told that a folder can not be created', () => {
    const parent = join(folder, 'parent')
    mkdirSync(parent)
    chmodSync(parent, 0o555)
    const error = asUnprivileged('open', join(parent, 'made', 'piko.db'))
    expect(error?.code).toBe('DATABASE_UNREACHABLE')
    expect(error?.message).toContain(`is not allowed to write to ${parent}`)
  })

  it('gets no advice if it may write', async () => {
    const path = await makeDatabase(0o666)
    expect(asUnprivileged('write', path)).toBeNull()
    expect(asUnprivileged('start', path)).toBeNull()
  })
})
