"""Athena by its JSON protocol: statements are not understood; a test says what each answers.

/_fake/athena    statement {sql (part of it), columns [[name, type]], rows, states, error, scanned}
                 for queries from now on; the last that fits is taken; rows hold text or null
/_fake/queries   (nothing)    what was started, and how it stands
"""

import json
import uuid

from .sign import Refused
from .wire import Answer

PAGE = 1000


def refuse(message):
    raise Refused("InvalidRequestException", 400, message)


class Athena:
    def __init__(self, server):
        self.server = server
        self.statements, self.queries, self.tokens = [], {}, {}

    def told(self, sql):
        fitting = [told for told in self.statements if told.get("sql", "") in sql]
        return fitting[-1] if fitting else {}

    def answer(self, request):
        told = json.loads(request.body or b"{}")
        done = getattr(self, request.operation, None) or refuse(request.operation)
        headers = {"content-type": "application/x-amz-json-1.1"}
        return Answer(200, json.dumps(done(told)).encode(), headers)

    def StartQueryExecution(self, told):
        token = told["ClientRequestToken"]
        if not 32 <= len(token) <= 128:
            refuse("clientRequestToken has a wrong length")
        if token not in self.tokens:
            query_id = str(uuid.uuid4())
            script = self.told(told["QueryString"])
            states = list(script.get("states", ["QUEUED", "RUNNING", "SUCCEEDED"]))
            self.queries[query_id] = {"told": told, "script": script, "states": states, "stops": 0}
            self.tokens[token] = query_id
        return {"QueryExecutionId": self.tokens[token]}

    def GetQueryExecution(self, told):
        query = self.queries[told["QueryExecutionId"]]
        states = query["states"]
        state = states.pop(0) if len(states) > 1 else states[0]
        sql, script = query["told"]["QueryString"], query["script"]
        utility = sql.split()[0].upper() in ("SHOW", "DESCRIBE", "EXPLAIN")
        status = {"State": state}
        if script.get("error"):
            status["StateChangeReason"] = script["error"]
            status["AthenaError"] = {"ErrorCategory": script.get("category", 2), "Retryable": False}
        return {
            "QueryExecution": {
                "StatementType": "UTILITY" if utility else "DML",
                "SubstatementType": sql.split()[0].upper() if utility else "SELECT",
                "Status": status,
                "Statistics": {
                    "DataScannedInBytes": script.get("scanned", 0),
                    "EngineExecutionTimeInMillis": 700,
                    "QueryQueueTimeInMillis": 30,
                },
            }
        }

    def StopQueryExecution(self, told):
        query = self.queries[told["QueryExecutionId"]]
        query["stops"] += 1
        query["states"] = ["CANCELLED"]
        return {}

    def GetQueryResults(self, told):
        query = self.queries[told["QueryExecutionId"]]
        script = query["script"]
        columns, rows = script.get("columns", []), script.get("rows", [])
        if query["told"]["QueryString"].split()[0].upper() in ("SELECT", "WITH"):
            rows = [[name for name, _ in columns], *rows]
        first = int(told.get("NextToken", 0))
        page = rows[first : first + min(told["MaxResults"], PAGE)]
        data = [{"Data": [{} if v is None else {"VarCharValue": v} for v in row]} for row in page]
        infos = [{"Name": name, "Label": name, "Type": kind} for name, kind in columns]
        answer = {"ResultSet": {"Rows": data, "ResultSetMetadata": {"ColumnInfo": infos}}}
        if first + len(page) < len(rows):
            answer["NextToken"] = str(first + len(page))
        return answer
