import fc from "fast-check";
import { expect, test } from "vitest";
import { html } from "./html.ts";

const HOSTILE = `<script>alert("1")</script>'&`;

test("what is put into a template is text, in an element and in an attribute alike", () => {
  expect(html`<p title="${HOSTILE}">${HOSTILE}</p>`.markup).toBe(
    '<p title="&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;">&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;</p>',
  );
});

test("no text can write a letter that markup is made of", () => {
  fc.assert(fc.property(fc.string({ unit: "binary-ascii" }), (text) => !/[<>"']/.test(html`${text}`.markup)));
});

test("markup made by a template is put in as it is, and a list one after another", () => {
  const item = (text: string) => html`<li>${text}</li>`;
  expect(html`<ul>${["<a>", "b"].map(item)}</ul>`.markup).toBe("<ul><li>&lt;a&gt;</li><li>b</li></ul>");
  expect(html`<p>${undefined}${0}</p>`.markup).toBe("<p>0</p>");
});

test("an object that only looks like markup is not taken for it", () => {
  const forged = JSON.parse('["<img>", ["<b>"]]');
  expect(html`${forged}`.markup).toBe("&lt;img&gt;&lt;b&gt;");
  expect(() => html`${JSON.parse('{"markup":"<img>"}')}`).toThrow(TypeError);
});
