import { readFileSync } from 'node:fs'
import { type Command, CommanderError } from 'commander'
import { describe, expect, it } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'
import { usageError } from '../../src/cli/usage-error.ts'
import { errorOf, Project } from './project.ts'

function commandsOf(command: Command, path: string): [string, Command][] {
  return [[path, command], ...command.commands.flatMap((sub) => commandsOf(sub, `${path} ${sub.name()}`))]
}

function helpOf(command: Command): string {
  let text = ''
  command.configureOutput({ writeOut: (part) => (text += part) }).outputHelp()
  return text
}

async function refusal(args: string[]): Promise<string> {
  const program = createProgram({ json: true })
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) return usageError(error, program, args).message
    throw error
  }
  throw new Error('it was accepted')
}

describe('the command line', () => {
  it.each(commandsOf(createProgram({ json: false }), 'piko'))(
    'explains %s with examples, --json and --settings',
    (path, command) => {
      const text = helpOf(command)
      const [, examples = ''] = text.split('\nExamples:\n')
      expect(examples).toMatch(new RegExp(`^  (?:PIKO_\\S+ )*${path}\\b`, 'm'))
      expect(text).toContain('--json')
      expect(text).toContain('--settings <file>')
    },
  )

  it('creates only the command that the first word names, under the name of that word', () => {
    const all = createProgram({ json: false }).commands.map((command) => command.name())
    for (const name of all.filter((one) => !/^complet/.test(one))) {
      const [only, ...others] = createProgram({ json: false, first: name }).commands.map((command) => command.name())
      expect({ only, others }).toEqual({ only: name, others: ['completion', 'complete'] })
    }
    for (const first of ['schedule', 'constructor', 'nothing', undefined])
      expect(createProgram({ json: false, first }).commands).toHaveLength(all.length)
  })

  it('explains the exit codes', () => {
    expect(helpOf(createProgram({ json: false }))).toMatch(/Exit codes:\n +0 +done\n +1 .*\n +2 /)
  })

  it.each([
    [['strat'], /unknown command 'strat' \(Did you mean start\?\); see: piko --help/],
    [['start', '--no-htpp'], /unknown option '--no-htpp' \(Did you mean --no-http\?\); see: piko start --help/],
    [['run'], /missing required argument 'job'; see: piko run --help/],
    [['run', 'a', 'b'], /too many arguments/],
    [['migrate'], /piko migrate needs a subcommand; see: piko migrate --help/],
    [['migrate', 'up', '--to', 'x'], /'x' is invalid\. expected the number of a migration/],
    [['windows', 'list', 'a', '--state', 'lost'], /Allowed choices are succeeded, failed/],
    [['windows', 'a', '--limit', '0'], /expected a whole number from 1/],
  ])('refuses %j and says what to do', async (args, says) => {
    expect(await refusal(args)).toMatch(says)
  })

  it('reads the settings file that --settings names', async () => {
    const project = new Project({ 'other.toml': '[sqlite]\npath = "elsewhere/x.db"' })
    expect((await project.piko(['migrate', 'up', '--settings', 'other.toml'])).code).toBe(0)
    expect(project.has('elsewhere/x.db')).toBe(true)
    const missing = await project.piko(['jobs', 'list', '--settings', 'none.toml', '--json'])
    expect(errorOf(missing)).toMatchObject({
      code: 'SETTINGS_INVALID',
      message: expect.stringContaining('none.toml') as string,
    })
  })

  it('exits with 2 and an empty standard output on wrong usage, and prints the version on --version', async () => {
    const project = new Project()
    const wrong = await project.piko(['strat'])
    expect(wrong).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/^error USAGE: [^\n]+\n$/) as string,
    })
    const asJson = await project.piko(['--version', '--json'])
    const version = await project.piko(['--version'])
    const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string
    }
    expect(version).toEqual({ code: 0, stdout: `${manifest.version}\n`, stderr: '' })
    expect(asJson).toEqual({ code: 0, stdout: `{"version":"${manifest.version}"}\n`, stderr: '' })
  })
})
