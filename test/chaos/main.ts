// npm run chaos -- --minutes N --seed S
import { parseArgs } from 'node:util'
import { runChaos } from './chaos.ts'
import { reportText } from './report.ts'
import { type Sabotage, SABOTAGES } from './sabotages.ts'

const HELP = `Usage: npm run chaos -- [--minutes N] [--seed S] [--nodes N] [--sabotage NAME] [--json]

Kills, stops, cuts off and deploys nodes, and kills their database, while they work; then looks at what is in the database.
The same seed has the same faults. Exit code 0: everything held; 1: something did not, and the nodes' logs are kept.

  --minutes N       how long faults go on (default 2)
  --seed S          a whole number (default: drawn, and printed)
  --nodes N         node processes (default 4)
  --sabotage NAME   take one guarantee away: ${Object.keys(SABOTAGES).join(', ')}
  --json            the report as JSON

Example: npm run chaos -- --minutes 10 --seed 7
`
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    seed: { type: 'string' },
    nodes: { type: 'string', default: '4' },
    sabotage: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  process.stdout.write(HELP)
  process.exit(0)
}
const minutes = Number(values.minutes)
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed)
const nodes = Number(values.nodes)
const isSabotage = (name: string | undefined): name is Sabotage | undefined => name === undefined || name in SABOTAGES
if (!(minutes > 0) || !Number.isSafeInteger(seed) || !(Number.isSafeInteger(nodes) && nodes > 0)) {
  process.stderr.write(`minutes, seed and nodes must be numbers, minutes and nodes above 0\n\n${HELP}`)
  process.exit(2)
}
if (!isSabotage(values.sabotage)) {
  process.stderr.write(`there is no sabotage "${String(values.sabotage)}"\n\n${HELP}`)
  process.exit(2)
}
const tell = (line: string): void => void process.stderr.write(`${line}\n`)
tell(`seed ${seed}, ${nodes} nodes, ${minutes} minutes`)
const report = await runChaos({ minutes, seed, nodes, sabotage: values.sabotage, tell })
process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : reportText(report))
process.exitCode = report.proofs.every(({ ok }) => ok) ? 0 : 1
