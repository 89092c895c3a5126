// Asks @cloud-copilot/iam-simulate what tests/second_evaluator.py writes on standard input: a JSON list of simulations.
// Answers a JSON list of Allowed, ExplicitlyDenied, ImplicitlyDenied, or "error: ..." where a question has no meaning.
import { runSimulation } from '@cloud-copilot/iam-simulate'
import { readFileSync } from 'node:fs'

const answers = []
for (const simulation of JSON.parse(readFileSync(0, 'utf8'))) {
  const response = await runSimulation(simulation, {})
  answers.push(response.resultType === 'error' ? `error: ${JSON.stringify(response.errors)}` : response.overallResult)
}
process.stdout.write(JSON.stringify(answers))
