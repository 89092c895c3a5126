variable "environment" {
  description = "Name of the environment, part of every name: mlops-<environment>-<component>."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,11}$", var.environment))
    error_message = "environment must be 2 to 12 lower-case letters and digits, starting with a letter, such as dev."
  }
}

variable "vpc_cidr" {
  description = "Addresses of the VPC; an eighth of them for each zone's nodes and pods, a 256th for each zone's load balancers."
  type        = string
  default     = "10.0.0.0/16"

  validation {
    # A load balancer needs a /27 or more: the public subnets are 8 bits longer than the VPC.
    condition = (
      can(cidrhost(var.vpc_cidr, 0)) &&
      try(cidrhost(var.vpc_cidr, 0) == split("/", var.vpc_cidr)[0], false) &&
      try(contains(range(16, 20), tonumber(split("/", var.vpc_cidr)[1])), false)
    )
    error_message = "vpc_cidr must be the first address of an IPv4 network of /16 to /19, such as 10.0.0.0/16."
  }

  validation {
    condition     = can(regex("^(10\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.|192\\.168\\.)", var.vpc_cidr))
    error_message = "vpc_cidr must be private (10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16): other addresses belong to somebody on the Internet."
  }
}

variable "az_count" {
  description = "Number of availability zones with subnets; EKS and load balancers need two."
  type        = number
  default     = 3

  validation {
    condition     = contains([2, 3, 4], var.az_count)
    error_message = "az_count must be 2, 3 or 4: EKS and load balancers need two zones, and the address plan has room for four."
  }
}

variable "interface_endpoints" {
  description = "AWS services that are reached by interface endpoints, since nothing else leads out of the private subnets."
  type        = set(string)
  default = [
    "autoscaling",
    "ec2",
    "ecr.api",
    "ecr.dkr",
    "eks",
    "eks-auth",
    "elasticloadbalancing",
    "logs",
    "monitoring",
    "sagemaker.api",
    "sagemaker.featurestore-runtime",
    "sns",
    "sqs",
    "sts",
  ]

  validation {
    condition     = alltrue([for service in var.interface_endpoints : can(regex("^[a-z][a-z0-9-]*(\\.[a-z][a-z0-9-]*)*$", service))])
    error_message = "interface_endpoints must be the ends of service names, such as ecr.api for com.amazonaws.<region>.ecr.api."
  }

  validation {
    condition     = !contains(var.interface_endpoints, "s3")
    error_message = "interface_endpoints must not have s3: the gateway endpoint of S3 is there already and costs nothing."
  }

  validation {
    # Without these no node joins the cluster and no container starts.
    condition     = length(setsubtract(["ec2", "ecr.api", "ecr.dkr", "eks-auth", "sts"], var.interface_endpoints)) == 0
    error_message = "interface_endpoints must have ec2, ecr.api, ecr.dkr, eks-auth and sts: nodes cannot join or pull images without them."
  }
}

variable "endpoint_az_count" {
  description = "Number of zones in which each interface endpoint has an address; each one is paid by the hour. Pods of other zones reach it across zones."
  type        = number
  default     = 1

  validation {
    condition     = var.endpoint_az_count >= 1 && var.endpoint_az_count <= var.az_count && floor(var.endpoint_az_count) == var.endpoint_az_count
    error_message = "endpoint_az_count must be a whole number from 1 to az_count."
  }
}

variable "endpoint_az_overrides" {
  description = "Number of zones of single endpoints, by service, where it is not endpoint_az_count: such as { sts = 2 }."
  type        = map(number)
  default     = {}

  validation {
    condition     = alltrue([for service in keys(var.endpoint_az_overrides) : contains(var.interface_endpoints, service)])
    error_message = "endpoint_az_overrides must name services of interface_endpoints."
  }

  validation {
    condition     = alltrue([for zones in values(var.endpoint_az_overrides) : zones >= 1 && zones <= var.az_count && floor(zones) == zones])
    error_message = "endpoint_az_overrides must give whole numbers from 1 to az_count."
  }
}

variable "route53_endpoint" {
  description = "Whether ExternalDNS can reach Route 53, by an endpoint into us-east-1, the only region of its API. Paid like any other interface endpoint, and for traffic between regions."
  type        = bool
  default     = false
}

variable "readable_bucket_arns" {
  description = "Buckets of other accounts that may be read through the S3 endpoint, such as where another account keeps its models."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.readable_bucket_arns : can(regex("^arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", arn))])
    error_message = "readable_bucket_arns must be ARNs of whole buckets, such as arn:aws:s3:::their-models."
  }
}

variable "load_balancer_ingress_cidrs" {
  description = "Addresses that may call the public load balancer on port 443."
  type        = list(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = length(var.load_balancer_ingress_cidrs) > 0 && alltrue([for cidr in var.load_balancer_ingress_cidrs : can(cidrhost(cidr, 0))])
    error_message = "load_balancer_ingress_cidrs must be one or more networks, such as 203.0.113.0/24."
  }
}

variable "load_balancer_target_port" {
  description = "Port of the pods behind the load balancer; the predictor listens on 8080."
  type        = number
  default     = 8080

  validation {
    condition     = var.load_balancer_target_port >= 1024 && var.load_balancer_target_port <= 65535
    error_message = "load_balancer_target_port must be from 1024 to 65535: the pods do not run as root."
  }
}

variable "flow_log_retention_days" {
  description = "Days that flow logs are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.flow_log_retention_days)
    error_message = "flow_log_retention_days must be a number of days that CloudWatch Logs has: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 or more."
  }
}

variable "flow_log_traffic" {
  description = "Traffic that flow logs record: ALL, ACCEPT or REJECT."
  type        = string
  default     = "ALL"

  validation {
    condition     = contains(["ALL", "ACCEPT", "REJECT"], var.flow_log_traffic)
    error_message = "flow_log_traffic must be ALL, ACCEPT or REJECT."
  }
}

variable "registry_account_ids" {
  description = "Other accounts whose model registry the operator reads, as mlops-<environment>-registry-reader there."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.registry_account_ids : can(regex("^[0-9]{12}$", id))])
    error_message = "registry_account_ids must be account ids of 12 digits, as strings."
  }
}
