import type { Command } from 'commander'
import { expect, it } from 'vitest'
import { ANY_ROUTES } from '../../src/api/routes.ts'
import { Piko } from '../../src/app/piko.ts'
import { createProgram } from '../../src/cli/program.ts'
import { VERBS } from '../../src/operations/audit/verbs.ts'

type Face = 'app' | 'api' | 'cli'

/** What one of the three faces lacks, and why. Everything else must have the same noun and verb in all three. */
const EXCEPTIONS: Readonly<Record<string, { readonly in: readonly Face[]; readonly why: string }>> = {
  'backfills.preview': { in: ['app', 'api'], why: 'piko backfills create --dry-run shows it' },
  'backfills.wait': { in: ['app'], why: 'the API and piko backfills show --watch ask again' },
  'batches.wait': { in: ['app', 'cli'], why: 'a request would take hours; clients ask for batches.show again' },
  'jobs.page': { in: ['app'], why: 'jobs.list of the API gives pages; piko jobs list shows all' },
  'runs.page': { in: ['app'], why: 'runs.list of the API gives pages; piko runs list has --limit' },
  'configs.watch': { in: ['app'], why: 'belongs to a process that goes on; the API and piko live show config.changed' },
  'live.follow': { in: ['app', 'cli'], why: 'the API has it as a stream, which is not bound like the other routes' },
  'locks.acquire': { in: ['app'], why: 'a lock belongs to a process that lives and renews it' },
  'runs.follow': { in: ['app'], why: 'piko runs logs --follow; the API has it as a stream' },
  'runs.start': { in: ['api'], why: 'app.run and piko run' },
  'runs.cancelOne': { in: ['api'], why: 'app.runs.cancel and piko runs cancel take one id too' },
  'runs.replayOne': { in: ['api'], why: 'app.runs.replay and piko runs replay take one id too' },
  'status.show': { in: ['api'], why: 'the facts of the process that answers; a command is another process' },
  'jobs.types': { in: ['cli'], why: 'writes a file for the compiler' },
  'doctor.examine': { in: ['api'], why: 'app.doctor; the command is piko doctor' },
  doctor: { in: ['cli'], why: 'doctor.examine' },
  run: { in: ['cli'], why: 'app.run, runs.start' },
  why: { in: ['cli'], why: 'the short form of piko jobs why' },
  attach: { in: ['cli'], why: 'a console on a node, over its link' },
  dashboard: { in: ['cli'], why: 'serves the web application' },
  init: { in: ['cli'], why: 'writes the files of a new project' },
  start: { in: ['cli'], why: 'starts a node' },
  dev: { in: ['cli'], why: 'starts a node that watches files' },
  graph: { in: ['cli'], why: 'draws services.tree' },
  completion: { in: ['cli'], why: 'is about the shell' },
  complete: { in: ['cli'], why: 'is about the shell' },
  'migrate.up': { in: ['cli'], why: 'works before a node can start' },
  'migrate.down': { in: ['cli'], why: 'works before a node can start' },
  'migrate.status': { in: ['cli'], why: 'works before a node can start' },
}

it('app, API and command line have the same nouns and verbs, with exceptions that say why', () => {
  const app = new Piko({ jobs: [] })
  const faces: Readonly<Record<Face, ReadonlySet<string>>> = {
    app: new Set(
      Object.keys(VERBS).flatMap((noun) =>
        Object.getOwnPropertyNames(Object.getPrototypeOf(app[noun as keyof typeof VERBS]))
          .filter((name) => name !== 'constructor')
          .map((verb) => `${noun}.${verb}`),
      ),
    ),
    api: new Set(ANY_ROUTES.map(({ id }) => id)),
    cli: new Set(leaves(createProgram({ json: false }), [])),
  }
  const names = Object.keys(faces) as Face[]
  const all = [...new Set(names.flatMap((face) => [...faces[face]]))].sort()
  const partial = all
    .map((id) => [id, names.filter((face) => faces[face].has(id))] as const)
    .filter(([, found]) => found.length < names.length)
  expect(Object.fromEntries(partial)).toEqual(
    Object.fromEntries(Object.entries(EXCEPTIONS).map(([id, { in: found }]) => [id, found])),
  )
})

/** The commands without subcommands, as `noun.verb`. */
function leaves(command: Command, path: readonly string[]): string[] {
  if (command.commands.length === 0) return [path.join('.')]
  return command.commands.flatMap((one) => leaves(one, [...path, one.name()]))
}
