"""Glue: crawlers, runs of jobs, and as much of the Data Catalog as the daemon asks for.

A crawl or a run is over after `looks` looks, and ends as the test has said (admin.py: `glue`): as
SUCCEEDED, or as whatever comes next in `crawls` or `runs`. A run that is to succeed also waits until
the result that its plan names is there: somebody in Spark's place has to write it.
"""

import json

from .sign import Refused
from .wire import whole


def refuse(code, message="", status=400):
    raise Refused(code, status, message or code)


class Crawler:
    def __init__(self, told):
        self.name, self.database = told["Name"], told.get("DatabaseName", "")
        self.state, self.looks, self.last, self.starts = "READY", 0, None, 0

    def told(self):
        found = {"Name": self.name, "State": self.state, "DatabaseName": self.database}
        return {**found, "LastCrawl": self.last} if self.last else found


class Run:
    def __init__(self, id_, arguments, now_s):
        self.id, self.arguments, self.started_s = id_, arguments, now_s
        self.state, self.looks, self.error, self.ended_s = "STARTING", 0, "", None

    def told(self):
        found = {
            "Id": self.id,
            "JobRunState": self.state,
            "StartedOn": self.started_s,
            "Arguments": self.arguments,
            "LogGroupName": "/aws-glue/jobs",
        }
        if self.error:
            found["ErrorMessage"] = self.error
        return {**found, "CompletedOn": self.ended_s, "DPUSeconds": 12.5} if self.ended_s else found


class Glue:
    def __init__(self, server):
        self.server = server
        self.crawlers, self.jobs, self.tables = {}, {}, {}
        self.looks, self.crawls, self.runs, self.most = 2, [], [], 3
        self.partial = 0  # so many batches of partitions leave out their last entry

    def script(self, told):
        """{"looks": 3, "crawls": [["FAILED", "why"]], "runs": [["TIMEOUT", ""]], "most": 1}"""
        for name, value in told.items():
            setattr(self, name, value)

    def stats(self):
        runs = {name: [run.told() for run in job] for name, job in self.jobs.items()}
        tables = {name: list(found["partitions"]) for (_, name), found in self.tables.items()}
        crawls = {c.name: c.starts for c in self.crawlers.values()}
        return {"crawls": crawls, "runs": runs, "partitions": tables, "partial": self.partial}

    # -- crawlers --------------------------------------------------------------------------------

    def crawler(self, told):
        return self.crawlers.get(told["Name"]) or refuse("EntityNotFoundException", "no such crawler")

    def CreateCrawler(self, told):
        self.crawlers[told["Name"]] = Crawler(told)

    def GetCrawler(self, told):
        crawler = self.crawler(told)
        if crawler.state == "RUNNING":
            crawler.looks += 1
            if crawler.looks >= self.looks:
                status, error = self.crawls.pop(0) if self.crawls else ("SUCCEEDED", "")
                crawler.state = "READY"
                crawler.last = {
                    "Status": status,
                    "StartTime": crawler.started_s,
                    "ErrorMessage": error,
                    "LogGroup": "/aws-glue/crawlers",
                    "LogStream": crawler.name,
                }
        return {"Crawler": crawler.told()}

    def StartCrawler(self, told):
        crawler = self.crawler(told)
        if crawler.state != "READY":
            refuse("CrawlerRunningException", f"Crawler with name {crawler.name} has already started")
        crawler.state, crawler.looks, crawler.started_s = "RUNNING", 0, self.server.now()
        crawler.starts += 1

    def StopCrawler(self, told):
        crawler = self.crawler(told)
        if crawler.state != "RUNNING":
            refuse("CrawlerNotRunningException")
        crawler.looks, self.crawls = self.looks, [["CANCELLED", ""], *self.crawls]

    # -- runs ------------------------------------------------------------------------------------

    def job(self, told):
        name = told["JobName"]
        return self.jobs[name] if name in self.jobs else refuse("EntityNotFoundException", "no such job")

    def CreateJob(self, told):
        self.jobs[told["Name"]] = []
        return {"Name": told["Name"]}

    def StartJobRun(self, told):
        job = self.job(told)
        if sum(run.ended_s is None for run in job) >= self.most:
            refuse("ConcurrentRunsExceededException", "Concurrent runs exceeded")
        run = Run(f"jr_{len(job) + 1:064x}", told.get("Arguments", {}), self.server.now())
        job.append(run)
        self.server.changed()
        return {"JobRunId": run.id}

    def has_result(self, run):
        bucket, _, key = run.arguments["--plan"].removeprefix("s3://").partition("/")
        plan = self.server.s3.buckets[bucket].objects.get(key)
        if not plan:
            return True
        bucket, _, key = json.loads(whole(plan[-1].body))["result"].removeprefix("s3://").partition("/")
        return bool(self.server.s3.buckets[bucket].objects.get(key))

    def end(self, run, state, error=""):
        run.state, run.error, run.ended_s = state, error, self.server.now()

    def look(self, run):
        if run.ended_s is not None:
            return
        run.looks += 1
        run.state = "RUNNING" if run.looks > 1 else run.state
        if run.looks >= self.looks:
            if self.runs:
                self.end(run, *self.runs.pop(0))
            elif self.has_result(run):
                self.end(run, "SUCCEEDED")

    def GetJobRun(self, told):
        run = next((run for run in self.job(told) if run.id == told["RunId"]), None)
        if not run:
            refuse("EntityNotFoundException", "no such run")
        self.look(run)
        return {"JobRun": run.told()}

    def GetJobRuns(self, told):
        return {"JobRuns": [run.told() for run in reversed(self.job(told))]}

    def BatchStopJobRun(self, told):
        for run in self.job(told):
            if run.id in told["JobRunIds"] and run.ended_s is None:
                self.end(run, "STOPPED")
        return {"SuccessfulSubmissions": [], "Errors": []}

    # -- the catalog -----------------------------------------------------------------------------

    def name(self, told, name):
        return (told["DatabaseName"].lower(), name.lower())

    def table(self, told, name):
        found = self.tables.get(self.name(told, name))
        return found or refuse("EntityNotFoundException", "no such table")

    def CreateDatabase(self, _):
        return {}

    def GetTable(self, told):
        return {"Table": self.table(told, told["Name"])["table"]}

    def CreateTable(self, told):
        name = self.name(told, told["TableInput"]["Name"])
        if name in self.tables:
            refuse("AlreadyExistsException", "Table already exists.")
        table = {**told["TableInput"], "VersionId": "0", "DatabaseName": name[0]}
        self.tables[name] = {"table": table, "partitions": {}}

    def UpdateTable(self, told):
        found = self.table(told, told["TableInput"]["Name"])
        version = found["table"]["VersionId"]
        if told.get("VersionId", version) != version:
            refuse("ConcurrentModificationException", "Update table failed due to concurrent modifications.")
        found["table"] = {**told["TableInput"], "VersionId": str(int(version) + 1)}

    def BatchCreatePartition(self, told):
        partitions, errors = self.table(told, told["TableName"])["partitions"], []
        if len(told["PartitionInputList"]) > 100:
            refuse("InvalidInputException", "too many")
        for n, given in enumerate(told["PartitionInputList"], 1):
            values = tuple(given["Values"])
            if self.partial > 0 and n == len(told["PartitionInputList"]):
                self.partial -= 1
                detail = {"ErrorCode": "InternalServiceException", "ErrorMessage": "as told"}
                errors.append({"PartitionValues": given["Values"], "ErrorDetail": detail})
            elif values in partitions:
                detail = {"ErrorCode": "AlreadyExistsException", "ErrorMessage": "exists"}
                errors.append({"PartitionValues": given["Values"], "ErrorDetail": detail})
            else:
                partitions[values] = given
        return {"Errors": errors}

    def BatchUpdatePartition(self, told):
        partitions, errors = self.table(told, told["TableName"])["partitions"], []
        if len(told["Entries"]) > 100:
            refuse("InvalidInputException", "too many")
        for given in told["Entries"]:
            if tuple(given["PartitionValueList"]) in partitions:
                partitions[tuple(given["PartitionValueList"])] = given["PartitionInput"]
            else:
                detail = {"ErrorCode": "EntityNotFoundException", "ErrorMessage": "none"}
                errors.append({"PartitionValueList": given["PartitionValueList"], "ErrorDetail": detail})
        return {"Errors": errors}

    def BatchDeletePartition(self, told):
        partitions, errors = self.table(told, told["TableName"])["partitions"], []
        if len(told["PartitionsToDelete"]) > 25:
            refuse("InvalidInputException", "too many")
        for given in told["PartitionsToDelete"]:
            if not partitions.pop(tuple(given["Values"]), None):
                detail = {"ErrorCode": "EntityNotFoundException", "ErrorMessage": "none"}
                errors.append({"PartitionValues": given["Values"], "ErrorDetail": detail})
        return {"Errors": errors}
