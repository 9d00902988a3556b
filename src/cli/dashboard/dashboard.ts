import { type Command, InvalidArgumentError } from 'commander'
import { PikoError } from '../../errors.ts'
import { examples, globalOptions } from '../global-options.ts'
import { printResult } from '../output/print-result.ts'
import { stopSignals } from '../process/stop-signals.ts'
import { remoteTarget } from '../remote/target.ts'

const MAX_PORT = 65_535

export function addDashboard(program: Command): void {
  program
    .command('dashboard')
    .summary('open the dashboard of a fleet on other machines')
    .description(
      'Serves the dashboard on this machine for the node at --url, until Ctrl-C. The token stays in this process: the browser gets a key ' +
        'for this process only. A node serves its own dashboard too, at its own address.',
    )
    .option('--port <port>', 'port on this machine; default: any free port', parsePort, 0)
    .addHelpText(
      'after',
      examples([
        'PIKO_TOKEN=… piko dashboard --url https://piko.example.com',
        'piko dashboard --url http://127.0.0.1:9464 --port 9000',
      ]),
    )
    .action(({ port }: { port: number }, command: Command) => serve(port, globalOptions(command).json))
}

async function serve(port: number, json: boolean): Promise<void> {
  const { target } = remoteTarget
  if (!target) {
    throw new PikoError(
      'USAGE',
      'piko dashboard shows the fleet of a node on another machine; give the address of that node with --url or PIKO_URL',
    )
  }
  // This call reports a wrong address or token here, instead of in the browser.
  await (await remoteTarget.get())?.app.runs.summary()
  const { serveDashboard } = await import('../../http/dashboard-proxy.ts')
  const signals = stopSignals()
  const served = await serveDashboard({ target: target.url, token: target.token, port })
  try {
    printResult(json, { url: served.url }, () => `the dashboard of ${target.url} until Ctrl-C:\n  ${served.url}`)
    await signals.first
  } finally {
    signals.release()
    await served.close()
  }
}

function parsePort(text: string): number {
  const port = Number(text)
  if (/^\d{1,5}$/.test(text) && port <= MAX_PORT) return port
  throw new InvalidArgumentError(`expected a number from 0 to ${MAX_PORT}`)
}
