import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'
import { printError } from '../../src/cli/output/print-error.ts'
import { toError } from '../../src/errors.ts'
import { openDatabase } from '../../src/store/connection/database.ts'
import { migrate } from '../../src/store/migration/migrate.ts'
import { Project } from './project.ts'

/** Text that moves the cursor, adds colours, ends a line, or changes the direction of text. */
const HOSTILE = 'a\u001b[31mred\r\nrun 7 of x succeeded\u009b2J\u202etxt\u2066\u200f\u2028\u0007\u0008\ufeff'
const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/
/** A job id in a row edited by hand. */
const ID = HOSTILE.slice(0, 60)

const JOBS = `import { defineJob } from 'piko'
export const daily = defineJob(
  { id: 'daily', description: ${JSON.stringify(HOSTILE)}, cron: '0 0 * * *', windows: { start: '2026-01-01T00:00:00Z' } },
  () => {},
)
`

/** A project whose database contains this text in every text column. */
async function hostileProject(): Promise<Project> {
  const project = new Project({ 'jobs.mjs': JOBS })
  mkdirSync(join(project.folder, '.piko'))
  const database = await openDatabase({ sqlitePath: join(project.folder, '.piko/piko.db') })
  try {
    await migrate(database, { direction: 'up' })
    const { db } = database
    const at = '2026-01-02T00:00:00.000Z'
    const schedule = JSON.stringify({ kind: 'cron', cron: HOSTILE, timezone: HOSTILE })
    const windows = JSON.stringify({ start: '2026-01-01T00:00:00Z', catchUp: 'all', parallel: 1, note: HOSTILE })
    for (const id of [ID, 'daily']) {
      await db
        .insertInto('piko_job')
        .values({
          ...{ id, description: HOSTILE, schedule, planned_schedule: schedule, code_schedule: schedule, windows },
          ...{ ledger_start: '2026-01-01T00:00:00.000Z', window_cursor: at, created_at: at, updated_at: at },
        })
        .execute()
    }
    const error = JSON.stringify({ name: HOSTILE, message: HOSTILE, stack: HOSTILE, code: HOSTILE })
    const json = JSON.stringify({ [HOSTILE]: HOSTILE })
    await db
      .insertInto('piko_run')
      .values({
        ...{ id: 1, job_id: ID, kind: 'manual', state: 'failed', priority: 0, attempt: 1, run_at: at, created_at: at },
        ...{ started_at: at, finished_at: at, error, config: json, input: json, output: json, reason: HOSTILE },
      } as never)
      .execute()
    await db
      .insertInto('piko_window')
      .values({
        ...{ job_id: ID, start_at: '2026-01-01T00:00:00.000Z', end_at: at, state: 'failed', run_id: 1, updated_at: at },
      } as never)
      .execute()
    await db
      .insertInto('piko_job_config')
      .values({ job_id: 'daily', version: 1, config: json, effective_from: at, created_at: at })
      .execute()
    await db
      .insertInto('piko_run_log')
      .values({
        run_id: 1,
        fence: 1,
        attempt: 1,
        logged_at: at,
        level: 'info',
        message: HOSTILE,
        fields: json,
      } as never)
      .execute()
  } finally {
    await database.close()
  }
  return project
}

/** The output of a command on both streams, including errors. */
async function printed(args: readonly string[]): Promise<string> {
  let text = ''
  const keep = (chunk: string | Uint8Array): boolean => {
    text += String(chunk)
    return true
  }
  const spies = [process.stdout, process.stderr].map((stream) => vi.spyOn(stream, 'write').mockImplementation(keep))
  const json = args.includes('--json')
  try {
    await createProgram({ json }).parseAsync(['node', 'piko', ...args])
  } catch (thrown) {
    printError(toError(thrown), { json })
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
  return text
}

/** Every command that shows text of a database, a project or a user. */
const COMMANDS: readonly (readonly string[])[] = [
  ['jobs', 'list'],
  ['jobs', 'pause', ID],
  ['jobs', 'resume', ID],
  ['jobs', 'pause', HOSTILE],
  ['schedule', 'preview', 'daily'],
  ['schedule', 'preview', HOSTILE],
  ['schedule', 'preview', '--cron', HOSTILE],
  ['schedule', 'preview', '--cron', '0 0 * * *', '--timezone', HOSTILE],
  ['schedule', 'preview', '--at', HOSTILE],
  ['schedule', 'set', ID, '--every', '1h'],
  ['schedule', 'set', ID, '--every', HOSTILE],
  ['schedule', 'clear', ID],
  ['config', 'show', 'daily'],
  ['config', 'show', HOSTILE],
  ['config', 'history', 'daily'],
  ['config', 'set', 'daily', HOSTILE],
  ['config', 'set', 'daily', JSON.stringify({ [HOSTILE]: HOSTILE })],
  ['config', 'rollback', 'daily', '1'],
  ['windows', 'summary', ID],
  ['windows', 'coverage', ID],
  ['windows', 'list', ID, '--state', 'succeeded'],
  ['windows', HOSTILE],
  ['windows', ID, '--from', HOSTILE],
  ['runs', 'list'],
  ['runs', 'list', '--job', HOSTILE],
  ['runs', 'show', '1'],
  ['runs', 'logs', '1'],
  ['runs', 'cancel', '1'],
  ['runs', 'cancel', '--job', ID],
  ['runs', 'replay', '1', '--dry-run'],
  ['runs', 'replay', '1'],
  ['runs', 'cancel', '1'],
  ['runs', 'prune', '--older-than', HOSTILE],
  [
    'backfill',
    'create',
    'daily',
    '--from',
    '2026-01-01T00:00:00Z',
    '--to',
    '2026-01-02T00:00:00Z',
    '--config',
    '{"a":"\u202e"}',
  ],
  ['backfill', 'create', HOSTILE, '--from', '2026-01-01T00:00:00Z', '--to', '2026-01-02T00:00:00Z'],
  ['backfill', 'list'],
  ['backfill', 'show', '1'],
  ['backfill', 'pause', '1'],
  ['backfill', 'cancel', HOSTILE],
  ['why', ID],
  ['why', ID, '2026-01-01T00:00:00Z'],
  ['why', 'daily'],
  ['why', HOSTILE],
  ['graph'],
  ['graph', '--jobs'],
  ['graph', '--jobs', '--format', 'dot'],
  ['graph', '--url', HOSTILE],
  ['migrate', 'status'],
  ['run', HOSTILE],
  [HOSTILE],
  ['jobs', `--${HOSTILE}`],
]

it('no command passes raw text of a database, a project or an argument to the terminal', async () => {
  const project = await hostileProject()
  const before = process.cwd()
  process.chdir(project.folder)
  onTestFinished(() => process.chdir(before))
  for (const args of COMMANDS) {
    for (const shown of [args, [...args, '--json']]) {
      const text = await printed(shown)
      expect([shown.join(' '), text === '']).toEqual([shown.join(' '), false])
      expect([shown, OBEYED.exec(text.replaceAll('\n', ' '))?.[0]]).toEqual([shown, undefined])
      // Text after a newline in the data must not look like a line from Piko.
      expect([shown, /^run 7 of x/m.test(text)]).toEqual([shown, false])
    }
  }
})
