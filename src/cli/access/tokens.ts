import { type Command, Option } from 'commander'
import { type Role, ROLES } from '../../access/actor.ts'
import type { TokenFilter, TokenRow } from '../../store/access/token-store.ts'
import type { TokenRequest } from '../../operations/tokens/tokens.ts'
import type { Duration } from '../../time/duration.ts'
import { visibleLine } from '../../visible.ts'
import { cliSettings } from '../cli-settings.ts'
import { examples, globalOptions } from '../global-options.ts'
import { addList } from '../list-command.ts'
import { instantText, printResult } from '../output/print-result.ts'
import { styleFor } from '../output/style.ts'
import { type Column, fieldsText } from '../output/table.ts'
import { parseInstant } from '../parse/parse-instant.ts'
import { parseLimit } from '../parse/parse-limit.ts'
import { withApp, withAppOn } from '../with-app.ts'

interface CreateOptions {
  readonly role: Role
  readonly forJobs?: string[]
  readonly expiresIn?: Duration
  readonly expiresAt?: Date
}

export function addTokens(program: Command): void {
  const tokens = program
    .command('tokens')
    .summary('create, list and revoke tokens for the HTTP API')
    .description(
      'Creates, lists and revokes tokens for the HTTP API. Roles: viewer reads; operator also changes runs, windows and jobs; ' +
        'admin does everything.',
    )
  tokens.addHelpText(
    'after',
    examples(['piko tokens create grafana --role viewer', 'piko tokens list', 'piko tokens revoke grafana']),
  )
  addCreate(tokens)
  addList(tokens, {
    noun: 'tokens',
    description: 'Lists valid tokens, oldest first. Shows no secrets. Changes nothing.',
    examples: [
      'piko tokens list',
      "piko tokens list --all --json | jq '.tokens[] | select(.lastUsedAt == null) | .name'",
    ],
    columns,
    find: (options: TokenFilter, globals) => withApp(globals, (app) => app.tokens.list(options)),
    data: dataOf,
  })
    .option('--all', 'include revoked and expired tokens')
    .addOption(new Option('--role <role>', 'only tokens with this role').choices(ROLES))
    .option('--limit <count>', 'maximum number of tokens to list; default: 100', parseLimit)
  tokens
    .command('show')
    .description('Shows one token, without its secret. Changes nothing.')
    .argument('<token>', 'name of a token, or its id', tokenOf)
    .addHelpText('after', examples(['piko tokens show grafana', 'piko tokens show 3 --json']))
    .action((which: string | number, _options: object, command: Command) =>
      withApp(globalOptions(command), async (app, json) => print(await app.tokens.show(which), json)),
    )
  tokens
    .command('revoke')
    .description('Makes a token permanently invalid on all nodes, immediately, and ends the sessions opened with it.')
    .argument('<token>', 'name of a token, or its id', tokenOf)
    .addHelpText('after', examples(['piko tokens revoke grafana', 'piko tokens revoke 3 --reason "laptop lost"']))
    .action((which: string | number, _options: object, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const token = await app.tokens.revoke(which)
        printResult(json, { token: dataOf(token) }, () => `token ${visibleLine(token.name)} is revoked`)
      }),
    )
}

function addCreate(tokens: Command): void {
  tokens
    .command('create')
    .description('Creates a token and shows its secret, which cannot be shown again.')
    .argument('<name>', 'who or what uses it')
    .addOption(new Option('--role <role>', 'what it may do').choices(ROLES).makeOptionMandatory())
    .option('--for-jobs <glob...>', 'limit it to jobs whose ids match one of these globs; default: all jobs')
    .option('--expires-in <duration>', 'how long it is valid, such as 90d; default: until it is revoked')
    .option(
      '--expires-at <instant>',
      'when it expires: an instant with a time zone, such as 2027-01-31T00:00:00Z',
      parseInstant,
    )
    .addHelpText(
      'after',
      examples([
        'piko tokens create grafana --role viewer',
        "piko tokens create shop-team --role operator --for-jobs 'shop_*' --expires-in 90d",
        'piko tokens create ci --role operator --json | jq -r .token.token',
      ]),
    )
    .action(async (name: string, { forJobs, ...options }: CreateOptions, command: Command) => {
      const globals = globalOptions(command)
      cliSettings(globals)
      // The first token is often created before the first node has started, so a missing database is created.
      await withAppOn({}, async (app) => {
        const request: TokenRequest = { name, ...options, ...(forJobs && { jobs: forJobs }) }
        const created = await app.tokens.create(request)
        printResult(globals.json, { token: { ...dataOf(created), token: created.token } }, () =>
          [
            created.token,
            `token ${visibleLine(name)} with the role ${created.role}; store it now, it cannot be shown again`,
          ].join('\n'),
        )
      })
    })
}

/** Reads a positive whole number as an id, and any other text as a name. Each name has at least one letter. */
function tokenOf(text: string): string | number {
  return /^[1-9]\d{0,14}$/.test(text) ? Number(text) : text
}

function dataOf({ id, name, role, jobs, expiresAt, createdAt, revokedAt, lastUsedAt, isValid }: TokenRow): object {
  return {
    ...{ id, name, role, jobs: jobs ?? null, isValid, createdAt },
    ...{ expiresAt: expiresAt ?? null, revokedAt: revokedAt ?? null, lastUsedAt: lastUsedAt ?? null },
  }
}

function print(token: TokenRow, json: boolean): void {
  printResult(json, { token: dataOf(token) }, () => fieldsText(columns(), token))
}

function columns(): Column<TokenRow>[] {
  const { green, gray } = styleFor(process.stdout)
  return [
    { title: 'id', cell: ({ id }) => String(id) },
    { title: 'name', cell: ({ name }) => name },
    { title: 'role', cell: ({ role }) => role },
    { title: 'jobs', cell: ({ jobs }) => jobs?.join(' ') ?? 'all' },
    { title: 'state', cell: stateOf, paint: (text, { isValid }) => (isValid ? green(text) : gray(text)) },
    { title: 'expires', cell: ({ expiresAt }) => instantText(expiresAt) },
    { title: 'last used', cell: ({ lastUsedAt }) => instantText(lastUsedAt) },
    { title: 'created', cell: ({ createdAt }) => instantText(createdAt) },
  ]
}

function stateOf({ isValid, revokedAt }: TokenRow): string {
  return isValid ? 'valid' : revokedAt ? 'revoked' : 'expired'
}
