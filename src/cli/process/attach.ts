import { Argument, type Command, Option } from 'commander'
import { visibleBlock } from '../../visible.ts'
import { LOG_LEVELS } from '../../settings/log-level.ts'
import { examples, globalOptions } from '../global-options.ts'
import { printResult } from '../output/print-result.ts'

interface AttachOptions {
  readonly logLevel?: string
  readonly heap?: string
}

const SHOWN = ['tree', 'tasks', 'handles']

/** Adds `piko attach`. */
export function addAttach(program: Command): void {
  program
    .command('attach')
    .summary('inspect a running process on this machine')
    .description(
      'Inspects a running process on this machine, and sets its log level or writes a heap snapshot. Connects to the Unix socket that the ' +
        'process opens if its setting [link] attach names one.',
    )
    .argument('<socket>', 'path of the socket')
    .addArgument(new Argument('[what]', 'what to show').choices(SHOWN).default('tree'))
    .addOption(new Option('--log-level <level>', 'set the level of its log').choices(LOG_LEVELS))
    .option(
      '--heap <file>',
      'write a snapshot of its heap for the developer tools of Chrome; the process pauses during that time',
    )
    .addHelpText(
      'after',
      examples([
        'piko attach /run/piko.sock',
        'piko attach /run/piko.sock tasks --json',
        'piko attach /run/piko.sock --log-level debug',
        'piko attach /run/piko.sock --heap piko.heapsnapshot',
      ]),
    )
    .action(async (socket: string, what: string, { logLevel, heap }: AttachOptions, command: Command) => {
      const { json } = globalOptions(command)
      const [{ attached }, path] = await Promise.all([import('./attached.ts'), import('node:path')])
      const shown = await attached(path.resolve(socket), { what, logLevel, heap })
      printResult(json, { result: shown }, () =>
        visibleBlock(typeof shown === 'string' ? shown : JSON.stringify(shown, undefined, 2)),
      )
    })
}
