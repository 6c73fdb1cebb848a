import { expect, test } from "vitest";
import { TestNetwork } from "../test/network.ts";
import { renderProblems } from "./problems-page.ts";

test("each type of refusal has a row at the address that refusals name, its code between tags", async () => {
  const network = await TestNetwork.create();
  const problem = {
    code: "not_found",
    status: 404,
    title: "Nothing there",
    meaning: "no <path>",
    remedy: "see `/v1/models`",
  };
  const page = renderProblems({ ...network.view(), problems: [problem] });
  expect(page).toContain('<tr role="row" id="not_found">');
  expect(page).toContain("no &lt;path&gt;");
  expect(page).toContain("see <code>/v1/models</code>");
  expect(page).toContain(">404</td>");
});
