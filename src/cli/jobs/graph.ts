import { type Command, Option } from 'commander'
import { jobGraph, jobsToDot, jobsToMermaid } from '../../operations/job-graph.ts'
import { isError, messageOf } from '../../errors-read.ts'
import { PikoError, toError } from '../../errors.ts'
import { visible } from '../../visible.ts'
import type { Settings } from '../../settings/settings.ts'
import { cliJobs } from '../cli-jobs.ts'
import { cliSettings } from '../cli-settings.ts'
import { examples, type GlobalOptions, globalOptions } from '../global-options.ts'
import { printResult } from '../output/print-result.ts'
import { textOf } from '../remote/choose-target.ts'

const FORMATS = ['svg', 'dot', 'mermaid', 'json'] as const
type Format = (typeof FORMATS)[number]

interface GraphOptions {
  readonly format: Format
  readonly running?: boolean
  readonly url?: string
  readonly token?: string
  readonly jobs?: string[] | true
}

export function addGraph(program: Command): void {
  program
    .command('graph')
    .summary('draw the tree of services, or the jobs')
    .description(
      'Draws the services that piko start runs: children with solid arrows, dependencies with dashed ones. With --running ' +
        'or --url it requests them from a running node, and shows states and restarts. ' +
        'With --jobs it draws the jobs and their dependencies.',
    )
    .addOption(new Option('--format <format>', 'format of the output').choices(FORMATS).default('mermaid'))
    .option('--running', 'request the services from the node at [http] host and port')
    .option('--jobs [glob...]', 'draw the jobs of the project, or of these files, with their dependencies')
    .addHelpText(
      'after',
      examples([
        'piko graph',
        'piko graph --format svg > services.svg',
        'piko graph --jobs --format svg > jobs.svg',
        'piko graph --running --format dot | dot -Tpng > now.png',
      ]),
    )
    .action((_options: object, command: Command) =>
      graph(command.optsWithGlobals<GraphOptions>(), globalOptions(command)),
    )
}

async function graph(options: GraphOptions, globals: GlobalOptions): Promise<void> {
  const settings = cliSettings(globals)
  const format = globals.json ? 'json' : options.format
  const address = options.url ?? (options.running ? `http://${settings.http.host}:${settings.http.port}` : undefined)
  if (options.jobs !== undefined && address !== undefined)
    throw new PikoError('USAGE', '--jobs draws jobs from files; leave out --running and --url')
  const text = await (options.jobs !== undefined
    ? drawnJobs(settings, options.jobs === true ? undefined : options.jobs, format)
    : address === undefined
      ? drawn(settings, format)
      : asked(address, format, options.token ?? textOf(process.env['PIKO_TOKEN'])))
  if (format === 'json') printResult(true, JSON.parse(text) as object, () => text)
  // A text from the network may come from any server, so its control characters are escaped.
  else process.stdout.write(visible(text.endsWith('\n') ? text : `${text}\n`))
}

async function drawnJobs(settings: Settings, globs: string[] | undefined, format: Format): Promise<string> {
  const graph = jobGraph(await cliJobs(settings, globs))
  switch (format) {
    case 'json':
      return JSON.stringify(graph)
    case 'dot':
      return jobsToDot(graph)
    case 'mermaid':
      return jobsToMermaid(graph)
    case 'svg':
      return (await import('../../service/graph/svg.ts')).toSvg(jobsToDot(graph))
  }
}

async function drawn(settings: Settings, format: Format): Promise<string> {
  const registry = await cliJobs(settings, undefined)
  const [{ Piko }, { HttpService }, { serviceGraph, toDot, toMermaid }, { toSvg }] = await Promise.all([
    import('../../app/piko.ts'),
    import('../../http/http-service.ts'),
    import('../../service/graph/graph.ts'),
    import('../../service/graph/svg.ts'),
  ])
  const app = new Piko({ jobs: [...registry] })
  if (settings.http.enabled) app.addService(new HttpService(app, settings.http), { first: true })
  const data = serviceGraph(await app.tree())
  switch (format) {
    case 'json':
      return JSON.stringify(data)
    case 'dot':
      return toDot(data)
    case 'mermaid':
      return toMermaid(data)
    case 'svg':
      return toSvg(toDot(data))
  }
}

/**
 * Requests the graph from a node.
 *
 * @throws PikoError `USAGE` if the address or the token is invalid, or the node does not return its graph
 */
async function asked(address: string, format: Format, token: string | undefined): Promise<string> {
  const url = URL.parse(`/graph?format=${format}`, address)
  if (!url)
    throw new PikoError(
      'USAGE',
      `--url is ${JSON.stringify(address)}; expected an address such as http://127.0.0.1:9464`,
    )
  // fetch would show the token in its error about an invalid header, so such a token is refused first.
  if (token !== undefined && !/^[!-~]+$/.test(token))
    throw new PikoError(
      'USAGE',
      'the token contains characters that are not allowed in a token; expected visible ASCII characters only',
    )
  try {
    const answer = await fetch(url, {
      ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }),
      signal: AbortSignal.timeout(10_000),
    })
    if (answer.ok) return await answer.text()
    throw new Error(`it answered ${answer.status}`)
  } catch (thrown) {
    const cause = toError(thrown)
    const reason = isError(cause.cause) ? messageOf(cause.cause) : messageOf(cause)
    throw new PikoError(
      'USAGE',
      `can't get the graph from ${url.origin}: ${reason}; start a node with piko start, or leave out --running`,
      { cause },
    )
  }
}
