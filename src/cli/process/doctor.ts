import { counted } from '../../counted.ts'
import type { Command } from 'commander'
import { PikoError } from '../../errors.ts'
import type { DoctorReport } from '../../operations/doctor/diagnose.ts'
import { type Finding, namesText, type Severity } from '../../operations/doctor/finding.ts'
import { visibleLine } from '../../visible.ts'
import { examples, globalOptions } from '../global-options.ts'
import { printResult } from '../output/print-result.ts'
import { styleFor } from '../output/style.ts'
import { remoteTarget } from '../remote/target.ts'

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .summary('find what is wrong with the installation, and what to do')
    .description(
      'Examines settings, database, privileges, schema, clocks, nodes, runs and rows. Changes nothing, and needs no running node. Exits with 1 ' +
        'if it finds an error or a warning. docs/doctor.md explains every finding.',
    )
    .addHelpText('after', examples(['piko doctor', "piko doctor --json | jq -r '.findings[].remedy'"]))
    .action(async (_options: object, command: Command) => {
      const globals = globalOptions(command)
      const remote = await remoteTarget.get()
      const report = remote ? await remote.app.doctor() : await examined(globals.settings)
      printResult(globals.json, report, () => reportText(report))
      if (!report.isHealthy) throw foundError(report)
    })
}

async function examined(file: string | undefined): Promise<DoctorReport> {
  const { examine } = await import('../../operations/doctor/gatherers.ts')
  return examine({ file })
}

function foundError({ findings }: DoctorReport): PikoError {
  const count = (severity: Severity): number => findings.filter((one) => one.severity === severity).length
  const [errors, warnings] = [count('error'), count('warning')]
  return new PikoError(
    'DOCTOR_FOUND',
    `the doctor found ${counted(errors, 'error')} and ${counted(warnings, 'warning')}; each is shown with its remedy`,
    { details: { errors, warnings } },
  )
}

function reportText({ findings, checks, settings }: DoctorReport): string {
  const skipped = checks.filter(({ state }) => state === 'skipped').map(({ id }) => id)
  const own = settings.filter(({ origin }) => origin !== 'default')
  return [
    ...findings.map(findingText),
    ...(own.length > 0
      ? [
          [
            'settings that differ from their defaults:',
            ...own.map(({ key, value, origin }) => visibleLine(`  ${key} = ${value} (${origin})`)),
          ].join('\n'),
        ]
      : []),
    `${counted(checks.length - skipped.length, 'check')} done, ${counted(findings.length, 'finding')}` +
      (skipped.length > 0 ? `; not possible now: ${namesText(skipped)}` : ''),
  ].join('\n\n')
}

function findingText({ id, severity, found, remedy }: Finding): string {
  const { red, yellow, cyan, bold } = styleFor(process.stdout)
  const paint = { error: red, warning: yellow, info: cyan }[severity]
  const lines = remedy.split('\n').map((line) => visibleLine(line))
  return `${paint(severity)} ${bold(id)}\n  ${visibleLine(found)}\n  ${paint('→')} ${lines.join('\n    ')}`
}
